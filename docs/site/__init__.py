"""Makes the documentation site: ``python -m docs.site.build``."""
