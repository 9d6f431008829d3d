"""What the host application installs: wraps provider clients so that every call is metered.

Owns: interception, the local spool, delivery to the collector.
May import: nobody.
Never touches: prompts, completions, message bodies, the server's packages.
"""

from meterline.meter import Meter
from meterline.stats import Stats
from meterline.version import __version__

__all__ = ["Meter", "Stats", "__version__"]
