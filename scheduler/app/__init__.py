"""The composition root: the only room that knows every other. `server.Server` is one `thesan serve`."""
