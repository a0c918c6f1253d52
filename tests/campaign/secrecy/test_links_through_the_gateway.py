"""Links over HTTP: what a caller may not follow is not his to see, and stays where it is when he writes."""

from __future__ import annotations

from pathlib import Path

from tests.campaign.counts import dice
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import entries, serving, settings
from tests.campaign.secrecy.people import invent
from tests.campaign.secrecy.shelf import shelf


async def test_a_put_of_a_telephone_leaves_the_stored_links_alone(tmp_path: Path) -> None:
    async with shelf(tmp_path / "east.sqlite") as upstream:
        catalogue = upstream.catalogue("east").replace(
            "/contacts/*/id:",
            "/website: {class: link}\n      /contract: {class: link}\n      /contacts/*/id:",
        )
        assert "/website" in catalogue
        shown = ("public", "internal", "identity", "contact", "link")
        chosen = settings(
            tmp_path / "home",
            policies=folder(
                tmp_path / "policies",
                catalogues={"east": catalogue},
                rules=everything("role:manager", "east/customer", "service", *shown),
            ),
            upstream_hosts=upstream.host,
        )
        async with serving(chosen) as opened, opened.client() as client:
            key, person = opened.keys["all"], invent(1, dice("links"))[0]
            made = {"name": person.name, "phone": person.phone, "unit": "branch:shanghai", "contacts": []}
            assert (await client.ask("POST", "/east/customers", key, made)).status == 201
            links = {
                "website": "https://their-shop.example/",
                "contract": f"http://{upstream.host}/customers/c1",
            }
            upstream.put("c1", {**upstream.document("c1"), **links})

            seen = (await client.ask("GET", "/east/customers/c1", key)).json
            assert "website" not in seen
            assert seen["contract"] == "/east/customers/c1"
            changed = await client.ask("PUT", "/east/customers/c1", key, {**seen, "phone": "13800001111"})
            assert changed.status == 200
            assert changed.json["contract"] == "/east/customers/c1"
            stored = upstream.document("c1")
            assert {name: stored[name] for name in links} == links

            refused = await client.ask(
                "PUT", "/east/customers/c1", key, {**seen, "contract": links["contract"]}
            )
            assert refused.status == 403
            assert "field-not-writable" in str(refused.json)
        intent = next(
            e for e in entries(chosen.home) if e["action"] == "customer:update" and e["kind"] == "intent"
        )
        assert intent["parts"][0]["set"] == ["/phone"]
