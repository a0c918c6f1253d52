"""Mistakes in a catalogue file, each with what is said about it."""

# name: (text to replace, its replacement, text whose line is named, what the problem says)
# fmt: off
WRONG: dict[str, tuple[str, str, str, str]] = {
    "an unknown key": ("connect_seconds: 1.5", "conect_seconds: 1.5", "conect_seconds", "did you mean 'connect_seconds'?"),
    "an unknown key of a field": ("{class: internal, fact: unit}", "{class: internal, facts: unit}", "facts:", "did you mean 'fact'?"),
    "a missing key": ("prefix: /shop\n", "", "upstream: shop", "the file has no 'prefix'"),
    "a doubled key": ("prefix: /shop", "prefix: /shop\nprefix: /other", "/other", "'prefix' stands twice (first in line 2)"),
    "an anchor": ("prefix: /shop", "prefix: &p /shop", "&p", "an anchor or alias"),
    "a merge": ("{class: internal, fact: unit}", "{<<: {class: internal}}", "<<", "a merge (<<)"),
    "a tag": ("prefix: /shop", "prefix: !!str /shop", "!!str", "a tag (!…)"),
    "an object's tag": ("prefix: /shop", "prefix: !!python/name:os.system x", "!!python", "a tag (!…)"),
    "a second document": ("upstream: shop", "upstream: shop\n---", "---", "a second document"),
    "a directive": ("upstream: shop", "%YAML 1.1\n---\nupstream: shop", "%YAML", "a YAML directive"),
    "no YAML": ("prefix: /shop", "prefix: [/shop", "base:", "this is not YAML"),
    "a list where names belong": ("headers: {x-tenant: bank}", "headers: [a]", "headers:", "is not a mapping"),
    "a reserved prefix": ("prefix: /shop", "prefix: /v1", "/v1", "reserved for the gateway"),
    "the address of the admin port's metrics": ("prefix: /shop", "prefix: /metrics", "/metrics", "reserved for the gateway"),
    "a prefix below a reserved one": ("prefix: /shop", "prefix: /console/x", "/console/x", "reserved for the gateway"),
    "a prefix that is no path": ("prefix: /shop", "prefix: /sh%6Fp", "/sh%6Fp", "is not a plain segment"),
    "a prefix with dots": ("prefix: /shop", "prefix: /a/../shop", "/a/..", "is not a plain segment"),
    "the control plane's name": ("upstream: shop", "upstream: gatehouse", "gatehouse", "is the gateway's own name"),
    "a host that is not allowed": (
        "shop.example:8443/api",
        "other.example/api",
        "other.example", "'other.example:443', which is not in the list"),
    "an allowed host by another port": ("shop.example:8443/api", "shop.example:9443/api", "9443", "not in the list of allowed hosts"),
    "a password in the base": ("https://shop", "https://a:b@shop", "https://", "holds a user or password"),
    "a query in the base": (":8443/api", ":8443/api?x=1", "https://", "has a query"),
    "dots in the base": (":8443/api", ":8443/../api", "https://", "a path that is not plain"),
    "another scheme": ("https://shop", "ftp://shop", "ftp://", "is no http or https address"),
    "a literal credential": ("from: env:SHOP_TOKEN", "from: hunter2hunter2", "credential:", "never the secret itself"),
    "a person in no assertion": (
        "headers: {", "assertion_person: named\nheaders: {", "assertion_person", "is only for an assertion"),
    "a person by another word": (
        "headers: {", "assertion: true\nassertion_person: clear\nheaders: {", "assertion_person", "'clear' is not known"),
    "an assertion that is no flag": ("headers: {", "assertion: yes please\nheaders: {", "assertion:", "is neither true nor false"),
    "an assertion to ourselves": (
        "base: https://shop.example:8443/api", "base: 'embedded:'\nassertion: true", "assertion:",
        "is for a system that others could reach"),
    "a literal authority": (
        "headers: {", "tls: {ca: hunter2hunter2}\nheaders: {", "tls:", "tls: ca is not a reference; write 'file:PATH'"),
    "a key from the environment": (
        "headers: {", "tls: {certificate: 'file:a', key: 'env:KEY'}\nheaders: {", "tls:", "tls: key is not a reference"),
    "a certificate without its key": (
        "headers: {", "tls: {certificate: 'file:a'}\nheaders: {", "tls:", "'certificate' and 'key' go together"),
    "a key without its certificate": (
        "headers: {", "tls: {key: 'file:a'}\nheaders: {", "tls:", "'certificate' and 'key' go together"),
    "terms that say nothing": ("headers: {", "tls: {}\nheaders: {", "tls:", "tls says nothing"),
    "names that are not checked": (
        "headers: {", "tls: {ca: 'file:a', check_hostname: false}\nheaders: {", "tls:", "tls has the unknown key 'check_hostname'"),
    "a chain that is not checked": (
        "headers: {", "tls: {ca: 'file:a', verify: false}\nheaders: {", "tls:", "tls has the unknown key 'verify'"),
    "tls in clear": (
        "base: https://shop.example:8443/api\ncredential", "base: http://shop.example:8443/api\ntls: {ca: 'file:a'}\ncredential",
        "tls:", "tls is only for an https base"),
    "a credential in a forwarding header": (
        "{from: env:SHOP_TOKEN}",
        "{from: env:A, header: x-forwarded-for}",
        "env:A", "cannot hold a credential"),
    "a caller's own assertion": ("[accept-language]", "[gatehouse-assertion]", "gatehouse-assertion", "never passes"),
    "a fixed assertion": ("{x-tenant: bank}", "{gatehouse-assertion: a}", "gatehouse-assertion", "cannot be fixed"),
    "a fixed cookie": ("{x-tenant: bank}", "{cookie: a}", "cookie", "cannot be fixed"),
    **{
        f"a fixed {name}": ("{x-tenant: bank}", f"{{{name}: '*'}}", name, "the gateway says it of each request")
        for name in (
            "if-match", "If-None-Match", "if-modified-since", "if-unmodified-since", "if-range", "range", "idempotency-key",
            "content-encoding", "accept-encoding")
    },
    "a credential in a condition": (
        "{from: env:SHOP_TOKEN}", "{from: env:A, header: If-Match}", "env:A", "'if-match' cannot hold a credential"),
    "a method override": ("[accept-language]", "[x-http-method-override]", "override", "never passes"),
    "a condition of the caller's": ("[accept-language]", "[if-none-match]", "if-none-match", "never passes"),
    "a cookie back": ("[etag]", "[set-cookie]", "set-cookie", "never passes"),
    "no seconds": ("connect_seconds: 1.5", "connect_seconds: soon", "soon", "is not a number of seconds"),
    "ticks too short": ("alike_seconds: 0.05", "alike_seconds: 0.02", "0.02", "is not between 0.025 and 5"),
    "ticks too long": ("alike_seconds: 0.05", "alike_seconds: 6", "6", "is not between 0.025 and 5"),
    "too many seconds": ("connect_seconds: 1.5", "connect_seconds: 601", "601", "is not a number of seconds"),
    "a name in capitals": ("  buyer:\n", "  Buyer:\n", "Buyer:", "is no name for a resource"),
    "no subject": ("    subject: itself\n", "", "  buyer:", "resource 'buyer' has no 'subject'"),
    "sealed fields of nobody": ("subject: itself", "subject: none", "subject: none", "each is sealed under a customer's key"),
    "a word for no subject": ("subject: itself", "subject: self", "subject: self", "write 'itself'"),
    "a subject in a sealed field": ("at: /buyer}", "at: /text}", "at: /text", "which is sealed"),
    "a subject in no field": ("at: /buyer}", "at: /byer}", "at: /byer", "did you mean '/buyer'?"),
    "a subject that is no customer": (
        "{resource: buyer, at: /buyer}",
        "{resource: order, at: /buyer}",
        "resource: order, at", "is no customer"),
    "a subject through nothing": ("at: /buyer}", "at: /buyer, through: basket}", "through", "leads to no customer"),
    "sealed without a key class": ("sealed: profile", "sealed: true", "sealed: true", "names no key class"),
    "personal and not sealed": ("sealed: profile, ", "", "/name:", "personal class 'identity' and not sealed"),
    "public and sealed": ("/at: {class: public}", "/at: {class: public, sealed: profile}", "/at:", "does not go with class 'public'"),
    "a sealed link": ("/at: {class: public}", "/at: {class: link, sealed: profile}", "/at:", "does not go with class 'link'"),
    "sealed and set by the server": ("mask: name, ", "mask: name, server_set: true, ", "/name:", "does not go with sealed"),
    "a personal fact": ("mask: name, ", "mask: name, fact: name, ", "/name:", "on a personal or sealed field"),
    "a personal fact in clear": (
        "/score: {class: internal}",
        "/score: {class: contact, fact: score}",
        "/score:", "on a personal or sealed field"),
    "a sealed fact": (
        "/score: {class: internal}",
        "/score: {class: internal, sealed: profile, fact: s}",
        "/score:", "on a personal or sealed field"),
    "a fact of many places": (
        "/lines/*/id: {class: internal}",
        "/lines/*/id: {class: internal, fact: line}",
        "/lines/*/id", "on a field with '*'"),
    "a fact named twice": ("fact: tags", "fact: unit", "/tags:", "'unit' has a field already"),
    "an unknown class": ("/score: {class: internal}", "/score: {class: intern}", "/score:", "did you mean 'internal'?"),
    "an unknown mask": ("mask: name,", "mask: nam,", "/name:", "did you mean 'name'?"),
    "a field without class": ("/score: {class: internal}", "/score: {}", "/score:", "has no 'class'"),
    "no date": ("2027-01-31", "2027-02-30", "2027-02-30", "'2027-02-30' is not a date"),
    "a date of another form": ("2027-01-31", "20270131", "20270131", "is not a text"),
    "adoption of what is not sealed": (
        "/score: {class: internal}",
        "/score: {class: internal, clear_until: 2027-01-31}",
        "/score:", "about a sealed field"),
    "a pattern without slash": ("/score:", "score:", " score:", "does not begin with '/'"),
    "a bad escape": ("/score:", "/sc~2ore:", "sc~2ore", "'~' stands for itself"),
    "an empty step": ("/score:", "/score/:", "/score/:", "has an empty step"),
    "two fields of one place": (
        "/lines/*/id: {class: internal}",
        "/lines/*/id: {class: internal}\n      /lines/one/id: {class: internal}",
        "/lines/one/id", "claim the same place"),
    "a field within a field": ("/score: {class: internal}", "/unit/code: {class: internal}", "/unit/code", "claim the same place"),
    "elements that nothing tells apart": (", element_id: id}", "}", "/lines/*/text", "within elements that nothing tells apart"),
    "an element id that is no field": ("element_id: id}", "element_id: no}", "element_id: no", "'no' is not an unsealed field"),
    "an element id without elements": (
        "/score: {class: internal}",
        "/score: {class: internal, element_id: id}",
        "/score:", "for a member of a list's elements"),
    "versioning in a body without place": ("    version_at: /meta/version\n", "", "versioning: body", "without 'version_at'"),
    "a version's place without use": (
        "versioning: etag",
        "versioning: etag\n    version_at: /v",
        "version_at: /v", "only for 'versioning: body'"),
    "idempotency without lookup": ("    lookup: /by-key/{key}\n", "", "idempotency: header", "has no 'lookup'"),
    "a lookup without key": ("/by-key/{key}", "/by-key/it", "/by-key/it", "'{key}' exactly once"),
    "a lookup by part of a value": ("?text={key}", "?text=a{key}", "?text=a", "not a whole value"),
    "a search by a field in clear": ("lookup_field: /text", "lookup_field: /buyer", "lookup_field", "is not a sealed field"),
    "a lookup without idempotency": ("    idempotency: header\n", "", "lookup: /by-key", "has no use without idempotency"),
    "a key of ours in a field of the callers'": (
        "idempotency: search\n    lookup: /orders?text={key}\n    lookup_field: /text",
        "idempotency: field\n    lookup: /orders?b={key}\n    lookup_field: /buyer",
        "lookup_field", "not a field that is the gateway's to write"),
    "a key of ours in no field": (
        "idempotency: search\n    lookup: /orders?text={key}\n    lookup_field: /text",
        "idempotency: field\n    lookup: /orders?b={key}",
        "idempotency: field", "is 'field' without 'lookup_field'"),
    "a header's lookup field": (
        "    lookup: /by-key/{key}\n",
        "    lookup: /by-key/{key}\n    lookup_field: /unit\n",
        "lookup_field: /unit", "only for 'idempotency: search' or 'field'"),
    "a list of what is there without id": (
        "versioning: etag",
        "versioning: etag\n    present: /buyers?a=1",
        "present:", "'{id}' exactly once"),
    "a list of what is there by part of an id": (
        "versioning: etag",
        "versioning: etag\n    present: /buyers?id=a{id}",
        "present:", "not a whole value"),
    "a removal that is none": ("versioning: etag", "versioning: etag\n    removal: by_force", "by_force", "'by_force' is not known"),
    "values of a sealed field": ("mask: name, ", "mask: name, values: [a], ", "/name:", "says what may be set"),
    "the form of a sealed field": ("mask: name, ", "mask: name, form: number, ", "/name:", "says what may be set"),
    "a read target without id": ("read: /buyers/{id}", "read: /buyers", "read: /buyers", "has no '{id}'"),
    "a read target without parent": (
        "read: /buyers/{parent}/orders/{id}",
        "read: /orders/{id}",
        "read: /orders", "where the resource has a parent"),
    "a parent that is not there": ("parent: buyer", "parent: byer", "parent: byer", "did you mean 'buyer'?"),
    "a total within the items": ("total: /total}", "total: /items/0}", "/items/0", "stands within the items"),
    "a personal frame": ("/links/self: link", "/links/self: contact", "/links/self", "only public, internal and link"),
    "a frame within the record": ("{/links/self: link}", "{/data/name: public}", "/data/name", "within what is listed as fields"),
    "an id that is sealed": ("id: /data/id,", "id: /data/text,", "read-order:", "is sealed"),
    "a route of no resource": (
        "does: send}",
        "does: send}\n  x: {request: GET /x, resource: byer, does: list}",
        "x: {request", "did you mean 'buyer'?"),
    "HEAD as a route": (
        "does: send}",
        "does: send}\n  x: {request: HEAD /buyers, resource: buyer, does: list}",
        "x: {request", "HEAD is answered and decided wherever GET is"),
    "a method for nothing": (
        "does: send}",
        "does: send}\n  x: {request: TRACE /buyers, resource: buyer, does: list}",
        "x: {request", "is no method of a route"),
    "a create by PUT": (
        "\"PUT /buyers/{id}\", resource: buyer, does: update",
        "\"PUT /buyers/x\", resource: buyer, does: create",
        "replace-buyer", "that is POST"),
    "a read by POST": ("request: GET /buyers/{id}", "request: POST /buyers/{id}", "request: POST /buyers/{id}", "that is GET"),
    "a read of no record": ("request: GET /buyers/{id}", "request: GET /buyers/one", "GET /buyers/one", "names no record by '{id}'"),
    "a create of one record": (
        "request: POST /buyers\n",
        "request: POST /buyers/{id}\n",
        "POST /buyers/{id}", "names one record by '{id}'"),
    "an unknown placeholder": ("\"DELETE /buyers/{id}\"", "\"DELETE /buyers/{name}\"", "{name}", "is none of {id}, {parent}"),
    "a placeholder within a segment": ("\"DELETE /buyers/{id}\"", "\"DELETE /buyers/x{id}\"", "x{id}", "is none of {id}, {parent}"),
    "a path after the id": ("\"DELETE /buyers/{id}\"", "\"DELETE /buyers/{id}/x\"", "{id}/x", "goes on after '{id}'"),
    "a template without parent": ("\"POST /buyers/{parent}/orders\"", "\"POST /orders\"", "send-order", "has no '{parent}'"),
    "a template with a parent too many": (
        "\"DELETE /buyers/{id}\"",
        "\"DELETE /x/{parent}/buyers/{id}\"",
        "delete-buyer", "has '{parent}'"),
    "an encoded literal": ("GET /buyers\n", "GET /b%75yers\n", "b%75yers", "is not a plain segment"),
    "an action about another resource": ("\"buyer:import\"", "\"order:import\"", "order:import", "is about another resource"),
    "two routes of one path": ("POST /buyers/import", "POST /buyers", "search-buyers", "fit the same path"),
    "two routes of one path by a placeholder": (
        "request: GET /buyers/{id}\n",
        "request: GET /buyers/{id}\n    resource: buyer\n    does: read\n  me:\n    request: GET /buyers/{id}\n",
        "me:\n    request", "fit the same path"),
    "a list without page": ("    page: {limit: n, position: from}\n", "", "list-buyers:", "is a list without 'page'"),
    "a page by cursor without next": (
        "page: {limit: size, position: page, first: 1, size: 20, bound: 100}",
        "page: {limit: size, position: page}",
        "position: page}", "the answer has no 'next'"),
    "a bound below a page": ("size: 20, bound: 100", "size: 20, bound: 10", "bound: 10}", "is less than one page"),
    "a filter by a sealed field": ("unit: {use: filter, field: /unit}", "name: {use: filter, field: /name}", "field: /name", "is sealed"),
    "a filter by no field": ("unit: {use: filter, field: /unit}", "unit: {use: filter, field: /unti}", "/unti", "did you mean '/unit'?"),
    "a sort by a sealed field": ("names: {at: /at, unit: /unit}", "names: {at: /at, name: /name}", "sort:", "is sealed"),
    "a sort by no field": ("names: {at: /at, unit: /unit}", "names: {ta: /ta}", "/ta}", "is no field of buyer"),
    "a selection of fields": (
        "lang: {use: pass, values: [zh, en]}\n  read",
        "fields: {use: select, names: {unit: /unit}}\n  read",
        "use: select", "no parameter chooses which fields are shown"),
    "an unknown use": ("limit: {use: limit}", "limit: {use: limits}", "limits", "did you mean 'limit'?"),
    "an unknown comparison": ("op: prefix}", "op: begins}", "begins", "'begins' is not known"),
    "a prefix of a number": ("op: ge, type: integer", "op: prefix, type: integer", "score[ge]", "is about texts"),
    "an order of booleans": (
        "active: {use: filter, field: /active, type: boolean}",
        "active: {use: filter, field: /active, type: boolean, op: ge}",
        "active: {use", "has no meaning for true and false"),
    "an order that narrows": (
        "op: ge, type: integer", "op: ge, type: integer, narrows: true", "score[ge]", "is for texts compared by 'eq' or 'in'"),
    "a sort that narrows": (
        "names: {at: /at, unit: /unit}", "names: {at: /at, unit: /unit}, narrows: true", "sort:", "does not go with use 'sort'"),
    "a flag without values": (
        "parameters: {lang: {use: pass, values: [zh, en]}}",
        "parameters: {lang: {use: pass}}",
        "{lang: {use: pass}}", "passes without 'values'"),
    "a filter where nothing is listed": (
        "parameters: {lang: {use: pass, values: [zh, en]}}",
        "parameters: {unit: {use: filter, field: /unit}}",
        "parameters: {unit", "which only a list has"),
    "a key of another use": (
        "limit: {use: limit}",
        "limit: {use: limit, field: /unit}",
        "limit: {use: limit, f", "does not go with use 'limit'"),
    "a caller's parameter that pages": (
        "lang: {use: pass, values: [zh, en]}\n  read",
        "from: {use: pass, values: [x]}\n  read",
        "    parameters:", "the gateway's own (page)"),
    "changes of what nobody reads": (
        "    request: GET /buyers/{id}\n    resource: buyer\n    does: read",
        "    request: GET /buyers/all\n    resource: buyer\n    does: list\n    page: {limit: n, position: from}",
        "  buyer:", "which no route reads"),
    "a body's size without body": ("does: delete}", "does: delete, max_body_bytes: 10}", "delete-buyer", "takes no body"),
    "a mode of no update": ("does: delete}", "does: delete, mode: merge}", "delete-buyer", "only for 'does: update'"),
    "a fragment in the base": (":8443/api", ":8443/api#x", "https://", "has a query, a fragment"),
    "a port that is none": (":8443/api", ":99999/api", "https://", "is no address"),
    "a reference with more behind it": ("from: env:SHOP_TOKEN", "from: env:SHOP_TOKEN-1", "credential:", "is not a reference"),
    "a fixed media type": ("{x-tenant: bank}", "{content-type: a}", "content-type", "cannot be fixed"),
    "a fixed header in two spellings": ("{x-tenant: bank}", "{x-tenant: a, X-Tenant: b}", "x-tenant", "stands twice"),
    "a parent of its own": ("parent: buyer", "parent: order", "parent: order", "is no other resource here"),
    "a parent that is not found again": (
        "  order:\n    parent: buyer\n    subject: {resource: buyer, at: /buyer}",
        "  place:\n    subject: none\n    read: /places/{id}\n    fields: {/id: {class: public}}\n"
        "  order:\n    parent: place\n    subject: {resource: buyer, at: /buyer}",
        "parent: place", "'place' has neither a subject nor public ids"),
    "a read target with a parent too many": (
        "read: /buyers/{id}",
        "read: /x/{parent}/buyers/{id}",
        "read: /x", "where the resource has a parent"),
    "a parent twice in a target": (
        "read: /buyers/{parent}/orders/{id}",
        "read: /buyers/{parent}/{parent}/{id}",
        "read: /buyers/{parent}/{parent}", "stands twice"),
    "a subject that is not there": (
        "{resource: buyer, at: /buyer}",
        "{resource: byer, at: /buyer}",
        "resource: byer, at", "did you mean 'buyer'?"),
    "a subject through itself": ("at: /buyer}", "at: /buyer, through: order}", "through", "leads to no customer"),
    "a subject of whom there is none": (
        "  order:\n    parent: buyer\n    subject: {resource: buyer, at: /buyer}",
        "  place:\n    subject: none\n    read: /places/{id}\n    fields: {/id: {class: public}}\n"
        "  order:\n    parent: buyer\n    subject: {resource: place, at: /buyer}",
        "resource: place, at", "'place' is no customer"),
    "a subject through another's": (
        "  order:\n    parent: buyer\n    subject: {resource: buyer, at: /buyer}",
        "  lead:\n    subject: itself\n    read: /leads/{id}\n    fields: {/id: {class: public}}\n"
        "  call:\n    subject: {resource: lead, at: /lead}\n    read: /calls/{id}\n    fields: {/lead: {class: public}}\n"
        "  order:\n    parent: buyer\n    subject: {resource: buyer, at: /buyer, through: call}",
        "through: call", "leads to another resource"),
    "values of what the server sets": (
        "/score: {class: internal}",
        "/score: {class: internal, server_set: true, values: [a]}",
        "/score:", "says what may be set"),
    "an element id within two lists": (
        "/lines/*/text: {class: free_text, sealed: orders, element_id: id}",
        "/lines/*/parts/*/text: {class: free_text, sealed: orders, element_id: id}",
        "/parts/", "for a member of a list's elements"),
    "an element id of a whole list": (
        "/score: {class: internal}",
        "/marks/*: {class: internal, element_id: id}",
        "/marks", "for a member of a list's elements"),
    "two element ids in one list": (
        "/lines/*/id: {class: internal}",
        "/lines/*/id: {class: internal}\n      /lines/*/key: {class: internal, element_id: key}",
        "/lines/*/key", "differs within one list"),
    "an element id that is sealed": (
        "/lines/*/id: {class: internal}",
        "/lines/*/id: {class: internal, sealed: orders, element_id: id}",
        "/lines/*/id", "'id' is not an unsealed field"),
    "a key of ours in a public field": (
        "idempotency: search\n    lookup: /orders?text={key}\n    lookup_field: /text",
        "idempotency: field\n    lookup: /orders?b={key}\n    lookup_field: /id",
        "lookup_field", "not a field that is the gateway's to write"),
    "a next page that passes": (
        "{items: /data, item_record: /attributes}",
        "{items: /data, item_record: /attributes, next: /next, around: {/next: public}}",
        "list_answer: {items: /data", "is the gateway's own to answer"),
    "a fixed parameter that pages": ("fixed: {expand: \"1\"}", "fixed: {page: \"1\"}", "fixed:", "is fixed and pages too"),
}
