"""One short file per raw format. Readers yield ``Raw`` documents and ``Bad`` records; bad data never raises."""
