"""The steps from an empty database to the schema; `voice.store.migrate` runs them. A released one never changes."""
