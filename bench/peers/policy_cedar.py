"""cedarpy on the same questions: run by an interpreter that has it, a JSON question on stdin, one JSON line out.

Cedar has no table of rules: each rule is a policy of its own, each role a group. It evaluates all of them for each request.
"""

import json
import sys
from time import perf_counter, process_time

import cedarpy


def main() -> None:
    asked = json.load(sys.stdin)
    began = process_time()
    policies = "\n".join(
        f'permit(principal in Role::"{role}", action == Action::"{act}", resource == Thing::"{thing}");'
        for role, thing, act in asked["rules"]
    )
    entities = [
        {"uid": {"type": "Role", "id": role}, "attrs": {}, "parents": []} for _user, role in asked["links"]
    ]
    found = {"load_s": process_time() - began}
    for kind in ("allow", "deny"):
        taken = []
        until = perf_counter() + asked["seconds"]
        while True:
            user, thing, act = asked[kind][len(taken) % len(asked[kind])]
            roles = [role for name, role in asked["links"] if name == user]
            people = [
                {
                    "uid": {"type": "User", "id": user},
                    "attrs": {},
                    "parents": [{"type": "Role", "id": role} for role in roles],
                }
            ]
            request = {
                "principal": f'User::"{user}"',
                "action": f'Action::"{act}"',
                "resource": f'Thing::"{thing}"',
            }
            near = [entity for entity in entities if entity["uid"]["id"] in roles]
            began = process_time()
            answer = cedarpy.is_authorized(request, policies, people + near)
            taken.append(process_time() - began)
            if answer.allowed is not (kind == "allow"):
                raise SystemExit("cedarpy decides otherwise")
            if perf_counter() > until:
                break
        taken.sort()
        found[f"{kind}_us"] = taken[len(taken) // 2] * 1e6
    print(json.dumps(found))


if __name__ == "__main__":
    main()
