from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        ("taggit", "0002_auto_20150616_2121"),
    ]

    operations = [
        # this migration was modified to declare a uniqueness constraint differently
        # this change was written on 2023-09-20, if any issues occurred from this please report it upstream
        migrations.AddConstraint(
            model_name="taggeditem",
            constraint=models.UniqueConstraint(
                fields=("content_type", "object_id", "tag"),
                name="taggit_taggeditem_content_type_id_object_id_tag_id_4bb97a8e_uniq",
            ),
        ),
    ]

ORIGIN = {"app": "taggit", "name": "0003_taggeditem_add_unique_index", "distribution": "django-taggit", "version": "6.1.0", "sha256": "8d474ef8ec122e5193f8e0a8d8a738575ed321b27a42f2c170072e819005c61b"}
