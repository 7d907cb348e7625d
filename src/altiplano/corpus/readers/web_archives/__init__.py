"""The reader of WARC and WET files: framing, HTTP payloads, compression."""
