"""The words that the generated company is told with; some are hostile on purpose, since real names are too."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Ada Amir Ana Anton Bea Bruno Carla Chen Dana David Elif Emil Fatou Felix Grace Hana Hugo Ines Ivan Jana Jonas "
    "Karin Kofi Lena Luca Maja Marco Mila Nadia Noah Olga Omar Paula Priya Rosa Sami Tara Theo Vera Yuki"
)
LAST_NAMES = _words(
    "Adler Bauer Becker Brandt Costa Cruz Diallo Dubois Evans Fischer Garcia Hansen Ito Jansen Kaya Keller Kowalski "
    "Larsen Lopez Maier Mensah Moreau Nguyen Novak Okafor Olsen Patel Peeters Quinn Rossi Sato Schmidt Silva Singh "
    "Tanaka Ueda Vogel Weber Yilmaz Zhang"
)
ODD_NAMES = (  # the storyline gives the third and the fourth to customers who are newly flagged on day 2
    "${HOME}; drop table customers; --",
    "{% raw %} %s {0} `id` *bold*",
    'Renée "Rex" O\'Neill 🚀',
    "{{ 7*7 }} <b>Bold</b> & Sons",
    "Zoë Łukasz",
    "<script>alert('x')</script>",
)
OWNERS = (
    ("Alex Morgan", "alex.morgan"),
    ("Bianca Reyes", "bianca.reyes"),
    ("Chidi Eze", "chidi.eze"),
    ("Dorothea Lang", "dorothea.lang"),
    ("Eoin Byrne", "eoin.byrne"),
    ("Farah Haddad", "farah.haddad"),
    ("Goran Ilic", "goran.ilic"),
    ("Hye-jin Park", "hyejin.park"),
    ("Isak Lund", "isak.lund"),
    ("Joana Prado", "joana.prado"),
)
BUSINESS_WORDS = _words(
    "Alder Beacon Cobalt Delta Ember Fjord Granite Harbor Indigo Juniper Kestrel Lumen Meadow Northwind Onyx Pioneer "
    "Quartz Ridge Summit Tundra Umber Vertex Willow Zephyr"
)
BUSINESS_KINDS = ("Foods", "Labs", "Logistics", "Medical", "Partners", "Retail", "Systems", "Works")
ODD_BUSINESS_NAMES = ('O\'Hara & "Sons" <GmbH>', "{{ config.items() }} Inc", "Café Ñandú 🦤", "Smith, Jones; Co")
DEAL_PRODUCTS = ("Starter", "Team", "Business", "Enterprise", "Premium support")
PRODUCT_CODES = ("BX", "CH", "DR", "FL", "GR", "HX", "LK", "PN", "RB", "TS", "VL", "WR")
PRODUCT_WORDS = (
    "Alloy",
    "Brass",
    "Carbon",
    "Compact",
    "Heavy",
    "Light",
    "Long",
    "Mini",
    "Rapid",
    "Short",
    "Steel",
    "Wide",
)
PRODUCT_KINDS = ("bearing", "bracket", "clamp", "filter", "gasket", "gear", "hose", "pump", "seal", "sensor", "valve")
ODD_PRODUCT_NAMES = ('3/4" pipe & <nut>', "{{ price }} bolt", "Øre-ring 🔩", "O'ring, black; 5%")
SUPPLIER_NAMES = (
    "Müller & Söhne GmbH",
    "O'Reilly Parts",
    "Acme Industrial",
    "Baltic Bearings",
    "Castor Metals",
    "Dagny Tools",
    'Estrella "Fast" SL',
    "Fabrika Nord",
    "Gearhouse",
    "Hanseatic Supply",
    "Iberian Valves",
    "Jupiter Seals",
    "Kaput Trading",
    "Lightning Parts",
)
