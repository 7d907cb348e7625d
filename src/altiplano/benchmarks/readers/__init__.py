"""Task files and folders of other projects to tasks."""
