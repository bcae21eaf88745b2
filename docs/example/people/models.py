"""People have a favourite order; orders have a customer: the two apps refer to each other."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class Person(AbstractUser):
    favourite = models.ForeignKey("shop.Order", models.SET_NULL, null=True, blank=True, related_name="fans")
