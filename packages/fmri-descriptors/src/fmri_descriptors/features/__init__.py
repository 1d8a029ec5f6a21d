"""Numbers of one scan, a module a domain; `extractor` joins them."""
