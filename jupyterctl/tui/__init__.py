"""The dashboard: a full-screen face of `core.session.Session`. It renders and asks; all that is done is done there."""
