# Made by chronomig 0.1.0 on 2026-11-21 03:24 UTC
from django.db import migrations, models

import chronomig


class Migration(chronomig.Migration):
    operations = [
        (
            "audit",
            migrations.CreateModel(
                name="Entry",
                fields=[
                    (
                        "id",
                        models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                    ),
                    ("at", models.DateTimeField(auto_now_add=True)),
                    ("text", models.TextField()),
                ],
                options={
                    "verbose_name_plural": "entries",
                },
            ),
        ),
    ]
