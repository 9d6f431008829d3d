"""Ships what was booked and costed to InfluxDB, and proves that it is there.

Owns: points, leases of tenants, what was shipped.
May import: ledger.
Never touches: prices, what is booked or costed.
"""
