from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0011_update_proxy_permissions"),
    ]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="first_name",
            field=models.CharField(
                blank=True, max_length=150, verbose_name="first name"
            ),
        ),
    ]

ORIGIN = {"app": "auth", "name": "0012_alter_user_first_name_max_length", "distribution": "Django", "version": "5.2.19", "sha256": "6cefbc9f80903763ff8492a537a22836ef69f2227e19d402509b8099d2baecb0"}
