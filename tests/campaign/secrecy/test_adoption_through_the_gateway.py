"""An existing record under `clear_until`, over HTTP: read by the rules, counted, and not changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.campaign.counts import dice
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import serving, settings
from tests.campaign.secrecy.people import invent
from tests.campaign.secrecy.shelf import shelf

PHONE = "/phone: {class: contact, sealed: profile, mask: phone"


async def test_a_record_that_was_there_before_is_read_counted_and_not_changed(tmp_path: Path) -> None:
    async with shelf(tmp_path / "east.sqlite") as upstream:
        until = datetime.now(UTC).date() + timedelta(days=9)
        catalogue = upstream.catalogue("east").replace(PHONE, f"{PHONE}, clear_until: {until}")
        assert "clear_until" in catalogue
        chosen = settings(
            tmp_path / "home",
            policies=folder(
                tmp_path / "policies",
                catalogues={"east": catalogue},
                rules=everything("role:manager", "east/customer", "service", "public", "internal", "contact"),
            ),
            upstream_hosts=upstream.host,
        )
        phone = invent(1, dice("adoption"))[0].phone
        stored = {"id": "c7", "phone": phone, "unit": "branch:shanghai"}
        upstream.put("c7", stored)
        async with serving(chosen) as opened, opened.client() as client:
            key = opened.keys["all"]
            seen = await client.ask("GET", "/east/customers/c7", key)
            assert (seen.status, seen.json) == (200, stored)
            assert opened.house.metrics.totals()["gatehouse.adopted", ()] == 1
            for sent in ({**stored, "phone": "13800001111"}, {**stored, "unit": "branch:beijing"}):
                refused = await client.ask("PUT", "/east/customers/c7", key, sent)
                assert refused.status == 409
                assert "record-withheld" in str(refused.json)
        assert upstream.document("c7") == stored
