"""A fake of the client: as few lines as show whether a call goes as it would go without the server."""
