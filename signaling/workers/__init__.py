"""Media workers: processes that carry the media, while one holds the door and the models."""
