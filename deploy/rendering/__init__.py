"""Renders the prompts ahead. Run by `deploy/render-prompts`, in an environment of its own."""
