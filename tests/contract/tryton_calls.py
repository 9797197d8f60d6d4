"""The JSON-RPC calls that are made of the sandbox and of a real Tryton alike, so that their answers can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tryton_company import Administrator

MISSING = 4711  # an id that no record has
Parameters = tuple[Any, ...]


def decimal(text: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": text}


@dataclass(frozen=True)
class Stock:
    """Records with which the calls work; their ids differ between the two servers."""

    company: int
    currency: int
    unit: int
    party: int
    address: int
    template: int
    product: int
    order: int  # a draft with one line
    line: int
    empty: int  # a draft without lines
    project: int
    task: int

    def order_line(self, **changed: Any) -> dict[str, Any]:
        line = {"type": "line", "product": self.product, "unit": self.unit, "quantity": 2.0}
        return {**line, "unit_price": decimal("3.5000"), **changed}

    def order_values(self, **changed: Any) -> dict[str, Any]:
        return {"company": self.company, "currency": self.currency, "party": self.party, **changed}


def stocked(admin: Administrator) -> Stock:
    """Makes the records."""
    company = admin.context["company"]
    (currency,) = admin.search("currency.currency", [["code", "=", "USD"]])
    (unit,) = admin.search("product.uom", [["symbol", "=", "u"]])
    party = admin.create("party.party", name="Compared", code="CMP-1", addresses=[["create", [{}]]])
    (address,) = admin.search("party.address", [["party", "=", party]])
    template = admin.create("product.template", **template_values(unit, "CMP-SKU"))
    (product,) = admin.search("product.product", [["template", "=", template]])
    row = {"type": "line", "product": product, "unit": unit, "quantity": 2.0, "unit_price": decimal("3.5000")}
    values = {"company": company, "currency": currency, "party": party}
    order = admin.create("purchase.purchase", **values, reference="CMP-R1", lines=[["create", [row]]])
    empty = admin.create("purchase.purchase", **values, reference="CMP-R0")
    (line,) = admin.search("purchase.line", [["purchase", "=", order]])
    task = {"name": "Task", "type": "task", "company": company, "sequence": 0}
    works = {"name": "Work", "type": "project", "company": company, "comment": "CMP-K1"}
    project = admin.create("project.work", **works, children=[["create", [task]]])
    (child,) = admin.search("project.work", [["parent", "=", project]])
    return Stock(
        company, currency, unit, party, address, template, product, order, line, empty, project, child
    )  # fmt: skip


def template_values(unit: int, code: str, **changed: Any) -> dict[str, Any]:
    values = {"name": f"Product {code}", "type": "goods", "default_uom": unit, "purchasable": True}
    more = {"purchase_uom": unit, "list_price": decimal("1"), "products": [["create", [{"suffix_code": code}]]]}
    return {**values, **more, **changed}


@dataclass(frozen=True)
class Compared:
    """One call; its parameters come before the context, which is left out where `has_context` is false."""

    name: str
    method: str
    parameters: Callable[[Stock], Parameters]
    has_context: bool = True


def _order(name: str, method: str, parameters: Callable[[Stock], Parameters]) -> Compared:
    return Compared(name, f"model.purchase.purchase.{method}", parameters)


def compared_calls() -> Iterator[Compared]:
    """In an order that matters: later calls meet what earlier ones have changed."""
    yield from _reads()
    yield from _states()
    yield from _creates()
    yield from _master_data()
    yield from _projects()
    yield from _misuse()


def _reads() -> Iterator[Compared]:
    by_id = [["id", "ASC"]]
    yield Compared("preferences", "model.res.user.get_preferences", lambda _s: (True, {}), has_context=False)
    yield _order("search", "search", lambda _s: ([["reference", "=", "CMP-R1"]], 0, None, by_id))
    yield _order("search without a hit", "search", lambda _s: ([["reference", "=", "none"]], 0, None, by_id))
    yield _order("search with blanks around", "search", lambda _s: ([["reference", "=", " CMP-R1 "]], 0, None, by_id))
    yield _order("count", "search_count", lambda _s: ([["reference", "=", "CMP-R1"]],))
    names = ["reference", "description", "comment", "state", "number", "party", "currency", "lines", "rec_name"]
    amounts = ["untaxed_amount", "tax_amount", "total_amount", "invoice_method", "create_date", "write_date"]
    yield _order("read an order", "read", lambda s: ([s.order], [*names, *amounts]))
    related = ["party.name", "party.code", "lines.quantity", "lines.amount", "currency.code"]
    yield _order("read through relations", "read", lambda s: ([s.order], related))
    yield _order("read what is not there", "read", lambda _s: ([MISSING], ["state"]))
    line = ["product", "quantity", "purchase", "moves_progress", "unit", "unit_price", "amount", "type", "rec_name"]
    yield Compared("read a line", "model.purchase.line.read", lambda s: ([s.line], line))
    domain: Callable[[Stock], Parameters] = lambda s: (  # noqa: E731
        [["product", "in", [s.product]], ["purchase.state", "in", ["draft"]]],
        0,
        None,
        by_id,
    )
    yield Compared("search lines of open orders", "model.purchase.line.search", domain)
    product = ["code", "purchase_uom", "default_uom", "name", "rec_name"]
    yield Compared("read a product", "model.product.product.read", lambda s: ([s.product], product))
    price: Parameters = (["list_price"],)
    yield Compared("read a product's list price", "model.product.product.read", lambda s: ([s.product], *price))


def _states() -> Iterator[Compared]:
    yield _order("quote an order without lines", "quote", lambda s: ([s.empty],))
    yield _order("confirm a draft", "confirm", lambda s: ([s.order],))
    yield _order("quote", "quote", lambda s: ([s.order],))
    yield _order("quote a quotation", "quote", lambda s: ([s.order],))
    yield _order("read a quotation", "read", lambda s: ([s.order], ["state", "number", "rec_name"]))
    yield _order("change a quotation", "write", lambda s: ([s.order], {"invoice_address": s.address}))
    new_line: Callable[[Stock], Parameters] = lambda s: ([s.order_line(purchase=s.order)],)  # noqa: E731
    yield Compared("add a line to a quotation", "model.purchase.line.create", new_line)
    yield _order("delete a quotation", "delete", lambda s: ([s.order],))
    yield _order("confirm without an invoice address", "confirm", lambda s: ([s.order],))
    yield _order("back to draft", "draft", lambda s: ([s.order],))
    yield _order("set the invoice address", "write", lambda s: ([s.order], {"invoice_address": s.address}))
    yield _order("quote again", "quote", lambda s: ([s.order],))
    yield _order("confirm", "confirm", lambda s: ([s.order],))
    yield _order("cancel a confirmed order", "cancel", lambda s: ([s.order],))
    yield _order("cancel a draft", "cancel", lambda s: ([s.empty],))
    yield _order("cancel a cancelled order", "cancel", lambda s: ([s.empty],))
    yield _order("cancel what is not there", "cancel", lambda _s: ([MISSING],))
    yield _order("delete a cancelled order", "delete", lambda s: ([s.empty],))
    yield _order("read a deleted order", "read", lambda s: ([s.empty], ["state"]))


def _creates() -> Iterator[Compared]:
    def made(name: str, values: Callable[[Stock], dict[str, Any]]) -> Compared:
        return _order(f"create {name}", "create", lambda s: ([values(s)],))

    def with_line(**changed: Any) -> Callable[[Stock], dict[str, Any]]:
        return lambda s: s.order_values(lines=[["create", [s.order_line(**changed)]]])

    yield made("an order", lambda s: s.order_values(reference="CMP-R2"))
    yield made("with a reference that exists", lambda s: s.order_values(reference="CMP-R2"))
    yield made("without a party", lambda s: {**s.order_values(), "party": None})
    yield made("with a party that is not there", lambda s: s.order_values(party=MISSING))
    yield made("with an unknown field", lambda s: s.order_values(nope=1))
    yield made("with a number for a text", lambda s: s.order_values(reference=7))
    yield made("with a line break in a text", lambda s: s.order_values(reference="a\nb"))
    yield made("with half a unit", with_line(quantity=2.5))
    yield made("with a price of six places", with_line(unit_price=decimal("3.123456")))
    yield made("with a float for a price", with_line(unit_price=3.5))
    yield made("without a unit", with_line(unit=None))
    yield made("without a quantity", with_line(quantity=None))
    yield made("without a price", with_line(unit_price=None))
    yield _order("create without a list", "create", lambda s: (s.order_values(),))


def _master_data() -> Iterator[Compared]:
    yield Compared("create a party", "model.party.party.create", lambda _s: ([{"name": "New", "code": "CMP-2"}],))
    yield Compared("create a party twice", "model.party.party.create", lambda _s: ([{"name": "N", "code": "CMP-2"}],))
    yield Compared("create a party without a code", "model.party.party.create", lambda _s: ([{"name": "New"}],))
    yield Compared("create a party without a name", "model.party.party.create", lambda _s: ([{"code": "CMP-3"}],))

    def template(code: str, **changed: Any) -> Callable[[Stock], Parameters]:
        return lambda s: ([template_values(s.unit, code, **changed)],)

    create = "model.product.template.create"
    yield Compared("create a product", create, template("CMP-NEW"))
    yield Compared("create a product with a code that exists", create, template("CMP-SKU"))
    fine = template("CMP-FINE", list_price=decimal("1.123456"))
    yield Compared("create a product with a price of six places", create, fine)


def _projects() -> Iterator[Compared]:
    names = ["name", "type", "comment", "progress", "children", "party", "parent", "number", "status", "rec_name"]
    yield Compared("read a project", "model.project.work.read", lambda s: ([s.project], names))
    create = "model.project.work.create"
    yield Compared("create a project without a name", create, lambda s: ([{"type": "project", "company": s.company}],))
    numbered = {"name": "Numbered", "type": "project", "number": "77"}
    yield Compared("create a project with a number", create, lambda s: ([{**numbered, "company": s.company}],))
    yield Compared("delete a project but not its task", "model.project.work.delete", lambda s: ([s.project],))
    yield Compared("delete a project with its task", "model.project.work.delete", lambda s: ([s.task, s.project],))


def _misuse() -> Iterator[Compared]:
    search = "model.purchase.purchase.search"
    yield _order("search by an unknown field", "search", lambda _s: ([["nope", "=", 1]], 0, 1, None))
    yield _order("search by an unknown operator", "search", lambda _s: ([["reference", "~", "x"]], 0, 1, None))
    yield _order("read an unknown field", "read", lambda s: ([s.order], ["nope"]))
    yield Compared("a call without a context", search, lambda _s: ([], 0, 1, None), has_context=False)
    yield _order("a method that is not there", "nope", lambda _s: (1,))
    yield _order("a private method", "_private", lambda _s: (1,))
    yield Compared("a model that is not there", "model.nope.search", lambda _s: ([], 0, None, None))
    yield Compared("neither model nor wizard", "nope.x.y", lambda _s: ([],))
    yield _order("too many parameters", "read", lambda s: ([s.order], ["state"], 1, 2, 3))
    login = "common.db.login"
    wrong, none = {"password": "wrong"}, dict[str, str]()
    yield Compared("a wrong password", login, lambda _s: ("admin", wrong), has_context=False)
    yield Compared("a user that is not there", login, lambda _s: ("nobody", wrong), has_context=False)
    yield Compared("no password", login, lambda _s: ("admin", none), has_context=False)
    yield Compared("sign out", "common.db.logout", lambda _s: (), has_context=False)
    yield _order("a session that was signed out", "search", lambda _s: ([], 0, 1, None))
