"""Where the tasks of curation run, how their files are published, and how long one document may take."""
