"""The steps from an empty database to the schema; `voice.store.migrate` runs them. They never change."""
