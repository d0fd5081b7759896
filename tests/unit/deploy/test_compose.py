"""What `docker compose up` starts: closed but for the gateway, and nobody holds more than they need."""

import hashlib
import re
from typing import Any

import pytest
import yaml

from contract.errors import Unavailable
from services.gateway.edge.problems import RETRY_AFTER_S, Problem
from services.gateway.settings import GatewaySettings
from services.storage.access.rights import OBJECTS
from tests.support.deployment import ROOT, SERVICES, compose
from tests.support.promtool import promtool
from worker.watch import DRAIN_GRACE_S

ALL = compose()["services"]
# PostgreSQL's entrypoint hands a new volume over to the server's user, and then becomes that user.
CAPABILITIES = {"postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"}}


@pytest.fixture(params=ALL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_container_is_confined(name: str) -> None:
    service = ALL[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("cap_add", ())) == CAPABILITIES.get(name, set())
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["init"] is True
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert not service.get("privileged")


def test_only_the_gateway_is_published_and_on_loopback() -> None:
    assert {name: service["ports"] for name, service in ALL.items() if "ports" in service} == {
        "gateway": ["127.0.0.1:8080:8080"]
    }


def test_only_the_gateway_is_on_a_network_that_leads_out() -> None:
    outside = {name for name, network in compose()["networks"].items() if not (network or {}).get("internal")}

    assert {name for name, service in ALL.items() if outside & set(service.get("networks", ()))} == {"gateway"}
    assert [name for name, service in ALL.items() if not service.get("networks")] == ["secrets"]


def test_only_the_proxy_holds_the_engines_socket() -> None:
    assert [name for name in ALL if any("docker.sock" in volume for volume in _volumes(name))] == ["docker-proxy"]
    assert ALL["docker-proxy"]["networks"] == ["engine"]


def test_nobody_sees_the_secrets_of_others() -> None:
    seen = {name: {volume.split(":")[0] for volume in _volumes(name) if volume.startswith("secrets-")} for name in ALL}

    assert seen.pop("secrets") == {volume for volume in compose()["volumes"] if volume.startswith("secrets-")}
    assert seen.pop("docker-proxy") == set()
    writes = {f"secrets-{service}" for service in OBJECTS}  # their keys to the object store
    assert seen.pop("init") == {"secrets-init"} | writes
    assert seen == {name: {f"secrets-{name}"} for name in seen}


def test_no_password_stands_in_an_environment() -> None:
    given = {variable for service in ALL.values() for variable in service.get("environment", {})}

    assert {variable for variable in given if re.search("PASSWORD|SECRET|KEY|USER", variable)} == {
        "POSTGRES_USER",
        "POSTGRES_PASSWORD_FILE",
        "MINIO_ROOT_USER_FILE",
        "MINIO_ROOT_PASSWORD_FILE",
    }


def test_a_worker_has_time_to_drain() -> None:
    for name in ("preprocess", "trainer", "inference"):
        assert float(ALL[name]["stop_grace_period"].removesuffix("s")) > DRAIN_GRACE_S


def test_every_service_waits_until_the_deployment_is_initialised() -> None:
    waits = {name: ALL[name]["depends_on"].get("init", {}).get("condition") for name in SERVICES if name != "init"}

    assert set(waits.values()) == {"service_completed_successfully"}


def test_whatever_keeps_running_has_a_health_check() -> None:
    assert {name for name, service in ALL.items() if "healthcheck" not in service} == {"secrets", "init"}


def test_images_of_others_are_pinned() -> None:
    pulled = {name: service["image"] for name, service in ALL.items() if "build" not in service}

    assert set(pulled) == {"redis", "postgres", "s3"}
    assert [image for image in pulled.values() if ":" not in image or image.endswith(":latest")] == []


def test_redis_is_started_anew_when_the_rights_of_its_users_change() -> None:
    """Compose does so when a label changes; Redis reads the file only when it starts."""
    users = (ROOT / "deploy" / "redis" / "users.acl").read_bytes()

    assert ALL["redis"]["labels"] == {"tidepool.users": hashlib.sha256(users).hexdigest()[:12]}


def test_the_gpu_variant_changes_images_and_reservations_only() -> None:
    changed: dict[str, Any] = compose("compose.gpu.yml")["services"]

    assert set(changed) == {"trainer", "inference"}
    for name, service in changed.items():
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
        assert service["image"] == f"tidepool-{name}-gpu:dev"


def test_the_tls_overlay_adds_a_proxy_that_sees_only_the_gateway() -> None:
    overlay = compose("compose.tls.yml")
    caddy = overlay["services"]["caddy"]

    assert set(overlay["services"]) == {"caddy", "gateway"}
    assert caddy["read_only"] is True
    assert (caddy["cap_drop"], caddy["cap_add"]) == (["ALL"], ["NET_BIND_SERVICE"])
    assert "no-new-privileges:true" in caddy["security_opt"]
    assert set(caddy["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert caddy["networks"] == ["edge"]
    assert caddy["ports"] == ["80:80", "443:443", "443:443/udp"]
    assert [volume for volume in caddy["volumes"] if volume.startswith("secrets-")] == []
    assert re.fullmatch(r"caddy:\d+\.\d+", caddy["image"])


def test_the_tls_overlay_and_the_caddyfile_name_the_same_ports_and_only_the_gateway_limits_bodies() -> None:
    overlay = compose("compose.tls.yml")["services"]
    caddyfile = (ROOT / "deploy" / "caddy" / "Caddyfile").read_text()
    limit = str(GatewaySettings.model_fields["max_upload_bytes"].default)

    assert f"reverse_proxy gateway:{ALL['gateway']['environment']['TIDEPOOL_PORT']} " in caddyfile
    assert f"h2c://gateway:{overlay['gateway']['environment']['TIDEPOOL_GRPC_PORT']}\n" in caddyfile
    assert overlay["gateway"]["environment"]["TIDEPOOL_MAX_UPLOAD_BYTES"] == limit
    assert "max_size" not in caddyfile  # or else Caddy cuts off the gateway's answer


REDUNDANT = compose("compose.ha.yml")["services"]


def test_the_redundant_overlay_has_three_of_each_server_and_two_of_each_service() -> None:
    added = REDUNDANT.keys() - ALL.keys()

    assert added == {*(f"sentinel-{n}" for n in (1, 2, 3)), "redis-2", "redis-3", "postgres-2", "postgres-3", "haproxy"}
    assert {name: str(service["scale"]) for name, service in REDUNDANT.items() if "scale" in service} == dict.fromkeys(
        {*SERVICES} - {"init"}, "2"
    )
    for name in added:
        service = REDUNDANT[name]
        assert service["read_only"] is True
        assert (service["cap_drop"], "cap_add" in service) == (["ALL"], False)
        assert "no-new-privileges:true" in service["security_opt"]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        assert "healthcheck" in service
        own = {volume.split(":")[0] for volume in service["volumes"] if volume.startswith("secrets-")}
        assert own == ({f"secrets-{name.partition('-')[0]}"} if name != "haproxy" else set())


def test_every_server_knows_the_others() -> None:
    secrets = REDUNDANT["secrets"]["environment"]
    servers = [service["environment"] for name, service in REDUNDANT.items() if name.startswith("postgres")]

    assert {server["SERVERS"] for server in servers} == {secrets["TIDEPOOL_POSTGRES"]}
    assert [server["SELF"] for server in servers] == secrets["TIDEPOOL_POSTGRES"].split(",")
    assert secrets["TIDEPOOL_SENTINELS"].split(",") == [name for name in REDUNDANT if name.startswith("sentinel")]


def test_redis_and_its_sentinels_find_each_other_while_one_is_down() -> None:
    servers = [name for name in REDUNDANT if name.startswith(("redis", "sentinel"))]
    addresses = {name: REDUNDANT[name]["networks"]["redis"]["ipv4_address"] for name in servers}

    assert len(set(addresses.values())) == 6
    assert [name for name in servers if REDUNDANT[name]["extra_hosts"] != addresses] == []


def test_the_balancer_is_published_in_place_of_the_gateways() -> None:
    configuration = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    published = {name: service["ports"] for name, service in REDUNDANT.items() if service.get("ports")}

    assert published == {"haproxy": ["127.0.0.1:8080:8080"]}
    assert REDUNDANT["gateway"]["ports"] == []
    assert f" gateway:{ALL['gateway']['environment']['TIDEPOOL_PORT']} check " in configuration
    assert re.fullmatch(r"haproxy:\d+\.\d+", REDUNDANT["haproxy"]["image"])


def test_the_balancer_answers_like_a_gateway_when_none_is_ready() -> None:
    configuration = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
    error = re.search(r"http-error status 503 content-type (\S+) hdr Retry-After (\d+) string '(.*)'", configuration)

    assert error is not None
    assert (error[1], error[2]) == ("application/problem+json", RETRY_AFTER_S)
    problem = Problem.model_validate_json(error[3])
    assert (problem.status, problem.code) == (503, Unavailable.code)


@pytest.mark.parametrize("name", ["redis", "redis-2", "redis-3"])
def test_redundant_redis_is_started_anew_when_users_change(name: str) -> None:
    servers = (ROOT / "deploy" / "redis" / "ha.acl").read_bytes()

    own = {"tidepool.servers": hashlib.sha256(servers).hexdigest()[:12]}
    assert REDUNDANT[name]["labels"] == ALL["redis"]["labels"] | own


def test_what_the_redundant_overlay_names_exists() -> None:
    base, overlay = compose(), compose("compose.ha.yml")
    services, volumes = ALL.keys() | REDUNDANT.keys(), {*base["volumes"], *overlay["volumes"]}
    for service in REDUNDANT.values():
        assert set(service.get("depends_on", ())) <= services
        assert set(service.get("networks", ())) <= {*base["networks"], *overlay["networks"]}
        named = {volume.partition(":")[0] for volume in service.get("volumes", ()) if not volume.startswith(".")}
        assert named <= volumes
    used = {volume.partition(":")[0] for service in REDUNDANT.values() for volume in service.get("volumes", ())}
    assert set(overlay["volumes"]) <= used
    variables = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.ha.yml").read_text()))
    described = (ROOT / "docs" / "compose.md").read_text()
    assert {variable for variable in variables if f"`{variable}`" not in described} == set()


def test_commands_of_the_redundant_overlay_name_its_services() -> None:
    text = (ROOT / "docs" / "high-availability.md").read_text()
    section = text.partition("**PostgreSQL in Compose**")[2].partition("\n## ")[0]
    (files,) = re.findall(r"COMPOSE_FILE=([\w.:-]+)", section)

    assert all((ROOT / file).exists() for file in files.split(":"))
    assert set(re.findall(r"postgres(?:-\d)?(?= pg_ctl| rejoin)", section)) == {"postgres-2", "postgres"}
    assert all(name in REDUNDANT for name in re.findall(r"postgres-\d", section))


def test_files_that_the_redundant_overlay_mounts_exist() -> None:
    for service in REDUNDANT.values():
        for volume in service.get("volumes", ()):
            source, *_ = volume.split(":")
            assert not source.startswith(".") or ((ROOT / source).exists() and volume.endswith(":ro")), volume


WATCHERS = compose("compose.observability.yml")
ADDED = {name: service for name, service in WATCHERS["services"].items() if "image" in service}


@pytest.mark.parametrize("name", ADDED)
def test_what_the_observability_overlay_adds_is_confined_and_pinned(name: str) -> None:
    service = ADDED[name]

    assert service["read_only"] is True
    assert (service["cap_drop"], "cap_add" in service) == (["ALL"], False)
    assert "no-new-privileges:true" in service["security_opt"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert "healthcheck" in service or name == "otel-collector"
    assert not {volume.split(":")[0] for volume in service["volumes"]} & {*compose()["volumes"]}
    for volume in service["volumes"]:
        source, *_ = volume.split(":")
        assert not source.startswith(".") or ((ROOT / source).exists() and volume.endswith(":ro")), volume


def test_the_overlay_publishes_only_grafana_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in WATCHERS["services"].items() if "ports" in service}
    outside = {name for name, network in WATCHERS["networks"].items() if not (network or {}).get("internal")}

    assert ports == {"grafana": ["127.0.0.1:3000:3000"]}
    assert {name: outside & set(service["networks"]) for name, service in ADDED.items()} == {
        "prometheus": set(),
        "alertmanager": {"notify"},
        "grafana": {"dashboards"},
        "tempo": set(),
        "otel-collector": set(),
    }


def test_grafana_needs_a_password_that_was_generated() -> None:
    grafana = ADDED["grafana"]

    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/secrets/password"
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert "secrets-grafana:/secrets:ro" in grafana["volumes"]
    assert WATCHERS["services"]["secrets"]["volumes"] == ["secrets-grafana:/secrets/grafana"]


def test_prometheus_reads_every_service_and_the_overlay_itself() -> None:
    configuration = yaml.safe_load((ROOT / "deploy" / "observability" / "prometheus.yml").read_text())
    ours, others = configuration["scrape_configs"]
    (found,) = ours["dns_sd_configs"]
    ports = {service["environment"].get("TIDEPOOL_METRICS_PORT") for service in map(ALL.get, found["names"]) if service}

    assert set(found["names"]) == {*SERVICES, "autoscaler"} - {"init"}
    assert ports == {str(found["port"])}
    assert all("backend" in ALL[name]["networks"] for name in found["names"])
    targets = {target.split(":")[0] for static in others["static_configs"] for target in static["targets"]}
    assert targets == {*ADDED, "localhost"} - {"prometheus"}


def test_every_service_sends_its_traces_to_the_collector() -> None:
    traced = {
        name: service["environment"]["TIDEPOOL_OTLP_ENDPOINT"]
        for name, service in WATCHERS["services"].items()
        if "TIDEPOOL_OTLP_ENDPOINT" in service.get("environment", {})
    }

    assert traced == dict.fromkeys({*SERVICES, "autoscaler"} - {"init"}, "http://otel-collector:4318")


@pytest.mark.parametrize("name", ["prometheus.yml", "embedded.yml"])
def test_promtool_accepts_the_configuration(name: str) -> None:
    file = ROOT / "deploy" / "observability" / name

    assert f"{file} is valid prometheus config file syntax" in promtool("check", "config", "--syntax-only", file)


def _volumes(name: str) -> list[str]:
    return list(ALL[name].get("volumes", ()))
