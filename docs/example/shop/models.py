"""Products and orders."""

from django.conf import settings
from django.db import models
from taggit.managers import TaggableManager


class Product(models.Model):
    name = models.CharField(max_length=100)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    tags = TaggableManager()

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="orders")
    products = models.ManyToManyField(Product)
    placed = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"order {self.pk}"
