"""The manifests are what Kubernetes takes, and fit each other."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes_validate
import pytest
import yaml

from ledger.settings import Settings
from meterline import __version__

FOLDER = Path(__file__).parents[3] / "deploy/kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
VERSIONS = ("1.28", "1.31", "1.34")
PODS = {"Deployment", "Job", "CronJob"}


class Manifest(NamedTuple):
    """One object of a file."""

    file: str
    content: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.content["kind"])

    @property
    def name(self) -> str:
        return f"{self.kind} {self.content['metadata']['name']}"


MANIFESTS = [
    Manifest(file, content)
    for file in KUSTOMIZATION["resources"]
    for content in yaml.safe_load_all((FOLDER / file).read_text())
]


def pod_of(manifest: Manifest) -> dict[str, Any]:
    spec = manifest.content["spec"]
    template = spec["jobTemplate"]["spec"] if manifest.kind == "CronJob" else spec
    return dict(template["template"])


def all_of(*kinds: str) -> list[Manifest]:
    return [manifest for manifest in MANIFESTS if manifest.kind in kinds]


def test_every_file_is_named_by_the_kustomization() -> None:
    expected = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert expected == set(KUSTOMIZATION["resources"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest.name)
def test_each_manifest_is_one_that_this_version_takes(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest.content, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    wrong = {**all_of("Job")[0].content, "sepc": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_a_misspelt_field_within_a_container_is_found() -> None:
    (wrong,) = (copy.deepcopy(one.content) for one in all_of("Job"))
    wrong["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagee"):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("manifest", all_of(*PODS), ids=lambda manifest: manifest.name)
def test_a_pod_runs_confined_and_never_as_root(manifest: Manifest) -> None:
    pod = pod_of(manifest)["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]


@pytest.mark.parametrize(
    "manifest",
    all_of("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"),
    ids=lambda manifest: manifest.name,
)
def test_what_selects_pods_finds_some(manifest: Manifest) -> None:
    spec = manifest.content["spec"]
    selector = spec["podSelector"] if manifest.kind == "NetworkPolicy" else spec["selector"]
    wanted = selector if manifest.kind == "Service" else selector["matchLabels"]
    found = [
        other.name
        for other in all_of(*PODS)
        if wanted.items() <= pod_of(other)["metadata"]["labels"].items()
    ]
    assert [] != found


@pytest.mark.parametrize("manifest", all_of(*PODS), ids=lambda manifest: manifest.name)
def test_a_pod_gets_no_variables_that_look_like_settings(manifest: Manifest) -> None:
    # Kubernetes would set METERLINE_API_PORT and the like for the services of the namespace.
    assert pod_of(manifest)["spec"]["enableServiceLinks"] is False


def test_what_the_kustomization_sets_are_settings_and_no_secrets() -> None:
    told = {one.partition("=")[0] for one in KUSTOMIZATION["configMapGenerator"][0]["literals"]}
    open_ones = {
        f"METERLINE_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if "SecretStr" not in str(field.annotation)
    }
    assert set() == told - open_ones


def test_the_image_has_the_one_version() -> None:
    page = (FOLDER.parents[1] / "docs/kubernetes.md").read_text()
    named = f"{KUSTOMIZATION['images'][0]['newName']}:{__version__}"
    assert (__version__, 2) == (KUSTOMIZATION["images"][0]["newTag"], page.count(named))


def test_pods_name_the_settings_and_the_image_of_the_kustomization() -> None:
    containers = [pod_of(manifest)["spec"]["containers"][0] for manifest in all_of(*PODS)]
    maps = {one["envFrom"][0]["configMapRef"]["name"] for one in containers}
    images = {one["image"] for one in containers}
    assert (
        {KUSTOMIZATION["configMapGenerator"][0]["name"]},
        {KUSTOMIZATION["images"][0]["name"]},
    ) == (maps, images)
