"""What a person reads in a browser, as HTML."""
