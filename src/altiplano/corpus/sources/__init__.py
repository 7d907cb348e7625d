"""One short file per raw format. Each reader yields ``Raw`` documents and ``Bad`` records, never raises for bad data."""
