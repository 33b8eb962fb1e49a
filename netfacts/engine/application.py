"""Images of applications, made of packages of this machine's own suite and kept in the cache: no registry is asked."""

from __future__ import annotations

from dataclasses import dataclass

from netfacts.engine.answer import answer_of
from netfacts.engine.engine import Engine
from netfacts.engine.packaged import Kept, held
from netfacts.engine.recipe import TAR, Application


@dataclass(frozen=True)
class Image(Kept):
    """An application's image in the cache; its clients can be run from its root."""

    application: Application

    def load(self, engine: Engine) -> str:
        """Have an engine know the image, unless it does already, and give the name that it has there.

        Raises: EngineError.
        """
        folder, _, tag = engine.image.rpartition(":")
        repository = f"{folder.rpartition('/')[0]}/{self.application.name}"
        name = f"{repository}:{tag}"
        if not answer_of(engine, f"list image {name}", lambda: engine.api.images(name, quiet=True), like=list[str]):
            labels = [f'LABEL {key}="{value}"' for key, value in engine.labels.items()]
            answer_of(
                engine,
                f"import image {name}",
                lambda: engine.api.import_image_from_file(
                    str(self.entry.path / TAR),
                    repository=repository,
                    tag=tag,
                    changes=[*self.application.changes, *labels],
                ),
            )
        return name


def ready(application: Application) -> Image:
    """Give an application's image, which can't be removed from the cache until this process ends.

    Raises: EngineError, UsageError where it can't be made.
    """
    return Image(held(application), application)
