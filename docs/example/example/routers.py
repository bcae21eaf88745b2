"""Which database holds which app."""


class AuditRouter:
    """Keep the app ``audit`` in the database ``audit``, and everything else out of it."""

    def db_for_read(self, model, **hints):
        return "audit" if model._meta.app_label == "audit" else "default"

    db_for_write = db_for_read

    def allow_relation(self, one, other, **hints):
        return (one._meta.app_label == "audit") == (other._meta.app_label == "audit")

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return (app_label == "audit") == (db == "audit")
