"""The console: server-rendered pages for people, at `/`. docs/architecture.md says how to add a screen."""
