"""The only place where rooms meet. Each file is `run(spec, directory, commands) -> Iterator[Event]`."""
