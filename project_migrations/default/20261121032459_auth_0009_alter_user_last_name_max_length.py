from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0008_alter_user_username_max_length"),
    ]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="last_name",
            field=models.CharField(
                blank=True, max_length=150, verbose_name="last name"
            ),
        ),
    ]

ORIGIN = {"app": "auth", "name": "0009_alter_user_last_name_max_length", "distribution": "Django", "version": "5.2.19", "sha256": "19a89500e7f108a7397da9b1733181f92105f758663b3685b60f5c2da384d76e"}
