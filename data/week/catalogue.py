"""The shop's products, and how popular they are."""

import dataclasses
import random
from itertools import accumulate

from data.week.config import Message

_ZIPF_EXPONENT = 1.05
_LIST_SIZE = 5

_CATEGORIES = {
    # category: (words for what is sold there, usual price in cents)
    "Kitchen": (("Teapot", "Chef Knife", "Cutting Board", "Espresso Cups", "Cast Iron Pan", "Whisk"), 3_200),
    "Lighting": (("Desk Lamp", "Pendant", "Reading Light", "Lantern", "Candle Holder"), 5_400),
    "Textiles": (("Wool Throw", "Cushion", "Linen Towel", "Bed Sheet", "Curtain"), 4_100),
    "Garden": (("Watering Can", "Planter", "Seed Set", "Pruning Shears", "Bird Feeder"), 2_300),
    "Stationery": (("Notebook", "Fountain Pen", "Calendar", "Desk Tray", "Card Set"), 1_400),
    "Games": (("Chess Set", "Jigsaw", "Card Game", "Dice Tower", "Marble Run"), 2_700),
    "Furniture": (("Side Table", "Stool", "Bookshelf", "Coat Rack", "Bench"), 14_500),
    "Sale": (("Surprise Box", "Sample Pack", "Last Pair", "Showroom Piece"), 1_900),
}
_BRANDS = ("Alderholm", "Birkwerk", "Casa Nuvola", "Dunmere", "Fjordlys", "Kestrel & Co", "Tarnby")
_LOOKS = ("Amber", "Classic", "Coastal", "Graphite", "Ivory", "Moss", "Rustic", "Scarlet", "Slate", "Walnut")


@dataclasses.dataclass(frozen=True)
class Product:
    """One product; its price is in cents, before tax."""

    number: int
    product_id: str
    sku: str
    name: str
    brand: str
    category: str
    price_cents: int

    def properties(self, **more: object) -> Message:
        """Returns the properties of Segment's product events; prices are in units of the currency, not in cents."""
        return {
            "product_id": self.product_id,
            "sku": self.sku,
            "category": self.category,
            "name": self.name,
            "brand": self.brand,
            "price": self.price_cents / 100,
            **more,
        }

    def line(self, **more: object) -> Message:
        """Returns the product as an item of a `products` array."""
        return {
            "product_id": self.product_id,
            "sku": self.sku,
            "name": self.name,
            "price": self.price_cents / 100,
            "category": self.category,
            **more,
        }


@dataclasses.dataclass(frozen=True)
class ProductList:
    """One page of a category: its products, the best seller first, and the properties of viewing it."""

    products: tuple[Product, ...]
    properties: Message


class Catalogue:
    """The products, numbered by popularity, which follows Zipf's law."""

    def __init__(self, rng: random.Random, size: int) -> None:
        self.products = tuple(_make_product(rng, number) for number in range(size))
        self._cumulative = list(accumulate((number + 1) ** -_ZIPF_EXPONENT for number in range(size)))
        self.lists = tuple(_make_lists(self.products))
        popularity = [sum((p.number + 1) ** -_ZIPF_EXPONENT for p in page.products) for page in self.lists]
        self._cumulative_lists = list(accumulate(popularity))

    def pick(self, rng: random.Random) -> Product:
        """Returns a random product; popular ones are more likely."""
        return rng.choices(self.products, cum_weights=self._cumulative)[0]

    def pick_list(self, rng: random.Random) -> ProductList:
        """Returns a random page of a category; pages with popular products are more likely."""
        return rng.choices(self.lists, cum_weights=self._cumulative_lists)[0]


def _make_product(rng: random.Random, number: int) -> Product:
    category = rng.choice(tuple(_CATEGORIES))
    nouns, usual_cents = _CATEGORIES[category]
    units = max(2, round(usual_cents / 100 * rng.lognormvariate(0, 0.5)))
    return Product(
        number=number,
        product_id=f"p-{number + 1:04d}",
        sku=f"{category[:3].upper()}-{rng.randrange(10_000, 99_999)}",
        name=f"{rng.choice(_LOOKS)} {rng.choice(nouns)}",
        brand=rng.choice(_BRANDS),
        category=category,
        price_cents=units * 100 - rng.choice((0, 1, 5, 10, 50)),
    )


def _make_lists(products: tuple[Product, ...]) -> list[ProductList]:
    lists: list[ProductList] = []
    for category in _CATEGORIES:
        members = [product for product in products if product.category == category]
        for first in range(0, len(members), _LIST_SIZE):
            shown = tuple(members[first : first + _LIST_SIZE])
            properties = {
                "list_id": f"{category.lower()}_{first // _LIST_SIZE + 1}",
                "category": category,
                "products": [product.line(position=at) for at, product in enumerate(shown, 1)],
            }
            lists.append(ProductList(shown, properties))
    return lists
