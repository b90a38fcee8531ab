#!/usr/bin/env python3
"""A driver as the stock ones are built: xmlrpc.client reads the request and writes the answer. What it answers otherwise than by default,
and where xapi is, stands in behaviour.json beside it; each request it got is a line of requests.jsonl."""
import json
import os
import sys
import xmlrpc.client

here = os.path.dirname(os.path.abspath(__file__))
(request,), command = xmlrpc.client.loads(sys.argv[1])
with open(os.path.join(here, "behaviour.json")) as f:
    behaviour = json.load(f)
with open(os.path.join(here, "requests.jsonl"), "a") as f:
    f.write(json.dumps(request) + "\n")
xapi = xmlrpc.client.ServerProxy(behaviour["address"], allow_none=True)
INFO = dict(name="n", description="d", vendor="v", copyright="c", driver_version="1.0", required_api_version="1.0",
            capabilities=["SR_PROBE"], configuration=[{"key": "target", "description": "where"}])


def call(method, *params):
    answer = getattr(xapi, method)(request["session_ref"], *params)
    if answer["Status"] != "Success":
        raise xmlrpc.client.Fault(153, " ".join(answer["ErrorDescription"]))
    return answer["Value"]


def introduce(uuid, size):
    call("VDI.db_introduce", uuid, "label", "", request["sr_ref"], "user", False, False, {}, uuid, {}, {"vdi_type": "vhd"},
         True, size, "0", "OpaqueRef:NULL", False, xmlrpc.client.DateTime("19700101T00:00:00Z"), "OpaqueRef:NULL", False)
    return {"location": uuid, "uuid": uuid}


def run():
    if command == "sr_get_driver_info":
        return INFO
    if command == "vdi_create":
        return introduce(request.get("vdi_uuid") or "aaaaaaaa-0000-0000-0000-%012d" % os.getpid(), request["args"][0])
    if command in ("vdi_snapshot", "vdi_clone"):
        return introduce("bbbbbbbb-0000-0000-0000-%012d" % os.getpid(), "1")
    if command == "vdi_delete":
        call("VDI.db_forget", request["vdi_ref"])
        return None
    if command == "vdi_resize":
        call("VDI.set_virtual_size", request["vdi_ref"], request["args"][0])
        return {"location": request["vdi_location"], "uuid": request["vdi_uuid"]}
    if command in ("vdi_attach", "vdi_attach_from_config"):
        return {"params": "/dev/x", "params_nbd": "", "o_direct": True, "o_direct_reason": "R", "xenstore_data": {}}
    if command == "sr_probe":
        return "<SRlist/>"
    if command == "vdi_generate_config":
        return xmlrpc.client.dumps(({"command": "vdi_attach_from_config"},), "vdi_attach_from_config")
    return None


special = behaviour["commands"].get(command, {})
sys.stderr.write(special.get("stderr", ""))
try:
    for method, params in special.get("calls", []):
        call(method, *[request.get(p[1:], p) if isinstance(p, str) and p.startswith("$") else p for p in params])
    if "fault" in special:
        raise xmlrpc.client.Fault(*special["fault"])
    value = special["value"] if "value" in special else run()
    document = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True)
except xmlrpc.client.Fault as fault:
    document = xmlrpc.client.dumps(fault, methodresponse=True)
print(special.get("stdout", document))
sys.exit(special.get("exit", 0))
