"""What happened; in a database of its own."""

from django.db import models


class Entry(models.Model):
    at = models.DateTimeField(auto_now_add=True)
    text = models.TextField()

    class Meta:
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return self.text
