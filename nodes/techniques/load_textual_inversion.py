"""Learned words (textual inversion, arXiv 2208.01618): new tokens and their vectors. No cost per step."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from weft.engine import Context, NodeView, Problem, Widget, node, value
from weft.nodes.checks import model_of
from weft.nodes.models.bundled import WORDS
from weft.nodes.models.sources import EMBEDDING, existing, find, problems, renamed
from weft.nodes.values import Model, Patch
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import called, learned_words, one_problem, require, require_one

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.models.parts import Parts


@value("patch.textual_inversion", version=3)
@dataclass(frozen=True, eq=False, kw_only=True)
class TextualInversionPatch(Patch):
    """One learned word: tokens for the tokenizers, and rows for the embeddings of the text encoders.

    tensors: the file's tensor by text encoder. source: as given, for a file that was moved since.
    rows: the vectors themselves by text encoder, (vectors, width), where a training gave them and there is no file.
    """

    path: str
    digest: str
    token: str
    vectors: int
    tensors: dict[str, str]
    source: str = ""
    rows: dict[str, Tensor] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """By content and token."""
        from weft.nodes.weights.files import digest_of

        return digest_of("textual_inversion", self.digest, self.token, self.tensors)

    def touches(self, component: str) -> bool:
        """The text encoders that it has vectors for, and their tokenizers."""
        return component.replace("tokenizer", "text_encoder") in self.tensors

    def apply(self, component: str, module: Any, parts: Parts) -> None:
        """Append tokens, or their vectors at the same places."""
        import torch

        from weft.nodes.weights.embeddings import token_names
        from weft.nodes.weights.files import read_tensors

        if component.startswith("tokenizer"):
            module.add_tokens(token_names(self.token, self.vectors))
            return
        name = self.tensors[component]
        if self.rows:
            rows = self.rows[component]
        else:
            path = existing(self.path, self.source, EMBEDDING)
            rows = read_tensors(str(path), self.digest, [name])[name]
        tokenizer = parts.component(component.replace("text_encoder", "tokenizer"))
        table = module.get_input_embeddings()
        first = len(tokenizer)
        old = table.weight
        grown = old.new_zeros(max(old.shape[0], first + self.vectors), old.shape[1])
        grown[: old.shape[0]] = old
        grown[first : first + self.vectors] = rows.to(old.device, old.dtype).reshape(self.vectors, -1)
        table.weight = torch.nn.Parameter(grown, requires_grad=False)
        table.num_embeddings = grown.shape[0]
        for part in module.modules():
            # Old configurations say 2 and mean "the highest id ends the text", which no longer holds.
            if getattr(part, "eos_token_id", None) == 2:
                part.eos_token_id = tokenizer.eos_token_id


def word_patches(ctx: Context, model: Model, sources: Sequence[str], tokens: Sequence[str]) -> tuple[Patch, ...]:
    """A patch per learned word of some files, once all are known to fit the model.

    tokens: one per source, or none at all; "" takes the file's own, or its name.

    Raises:
        ModelError: a file is none of these, for another model, or its token is taken.
        ValueError: there are not as many tokens as sources.
    """
    from weft.nodes.models.errors import ModelError
    from weft.nodes.weights.embeddings import place, words
    from weft.nodes.weights.files import content, header_of

    if tokens and len(tokens) != len(sources):
        raise ValueError(f"{len(tokens)} tokens are given for {len(sources)} files: give one each, or none")
    vocabulary = _Vocabulary(ctx, model)
    patches: list[Patch] = []
    for source, given in zip(sources, tokens or [""] * len(sources), strict=True):
        path = find(source, EMBEDDING, ctx.resolve_input_path)
        found = words(path, header_of(path))
        if given and len(found) > 1:
            raise ModelError(f"{path} holds {len(found)} words with names of their own: leave its token empty")
        for word in found:
            token = given or word.token or path.stem
            tensors = place(path, word, vocabulary.widths)
            vocabulary.take(token, word.vectors, tensors, str(path), path.name, f"<{path.stem}>")
            patches.append(
                TextualInversionPatch(
                    path=str(path),
                    digest=content(path),
                    token=token,
                    vectors=word.vectors,
                    tensors=tensors,
                    source=source,
                )
            )
    return tuple(patches)


def wired_words(ctx: Context, model: Model, adapter: Adapter, tokens: Sequence[str] = ()) -> tuple[Patch, ...]:
    """A patch per word that a training learned, once all are known to fit the model.

    tokens: other names for the words, in their order, or none at all; "" keeps a word's own.

    Raises:
        ModelError: they are for another model, or a token is taken.
        ValueError: there are not as many tokens as words.
    """
    from weft.nodes.models.errors import ModelError
    from weft.nodes.weights.embeddings import misfit

    found = learned_words(adapter)
    if tokens and len(tokens) != len(found):
        raise ValueError(f"{len(tokens)} tokens are given for the {len(found)} words of the adapter: give one each")
    vocabulary, where = _Vocabulary(ctx, model), called(adapter)
    patches: list[Patch] = []
    for (word, rows), given in zip(found.items(), tokens or [""] * len(found), strict=True):
        token = given or word
        for component, vectors in rows.items():
            if vocabulary.widths.get(component) != vectors.shape[1]:
                raise ModelError(misfit(where, vectors.shape[1], vocabulary.widths, f" for {component}"))
        count = len(next(iter(rows.values())))
        vocabulary.take(token, count, rows, where, where, "<new>")
        patches.append(
            TextualInversionPatch(
                path="",
                digest=adapter.digest,
                token=token,
                vectors=count,
                tensors={component: f"word.{word}.{component}" for component in rows},
                rows=rows,
            )
        )
    return tuple(patches)


def _width(shell: Any) -> int:
    return int(shell.config.hidden_size)


class _Vocabulary:
    """The tokens of a model's text encoders, and those that join them. widths: of their vectors, by text encoder."""

    def __init__(self, ctx: Context, model: Model) -> None:
        parts = model.parts()
        self._ctx = ctx
        self._names = [name for name in parts.components if name.startswith("text_encoder")]
        self.widths = {name: _width(parts.shell(name)) for name in self._names}
        tokenizers = {name: parts.component(name.replace("text_encoder", "tokenizer")) for name in self._names}
        self._taken = {name: set(tokenizer.get_vocab()) for name, tokenizer in tokenizers.items()}

    def take(self, token: str, vectors: int, components: Collection[str], where: str, short: str, example: str) -> None:
        """Add a word to the text encoders that it has vectors for; warn of those that it has none for.

        Raises:
            ModelError: it is no token, or taken.
        """
        from weft.nodes.models.errors import ModelError
        from weft.nodes.weights.embeddings import token_names

        if not token.strip() or any(letter.isspace() for letter in token):
            raise ModelError(f"{token!r} is no token: give one without spaces, such as {example}")
        for component in components:
            # `<x>_1` too where one vector is read: it would be taken for this word's second.
            for name in (*token_names(token, vectors), f"{token}_1"):
                if name in self._taken[component]:
                    raise ModelError(f"{where}: the token {name!r} is taken already; give another in `tokens`")
            self._taken[component].update(token_names(token, vectors))
        lacking = [name for name in self._names if name not in components]
        if lacking:
            self._ctx.log.warning("%s has no vectors for %s, which reads %r as letters", short, lacking[0], token)


def words_fingerprint(sources: Sequence[str], ctx: Context) -> str:
    """The content of the files."""
    from weft.nodes.weights.files import content

    return " ".join(content(find(source, EMBEDDING, ctx.resolve_input_path)) for source in sources)


def word_problems(view: NodeView, input: str) -> Iterator[Problem]:
    """What is wrong with the files of learned words that an input names."""
    from weft.nodes.weights.embeddings import EXPECTED_FILE, words
    from weft.nodes.weights.files import header_of

    def look(source: str) -> None:
        path = find(source, EMBEDDING, view.resolve)
        words(path, header_of(path))

    yield from problems(view, input, look, EXPECTED_FILE)


def _check(view: NodeView) -> Iterator[Problem]:
    yield from one_problem(view, "sources")
    yield from word_problems(view, "sources")
    sources, tokens = view.literals.get("sources"), view.literals.get("tokens")
    if isinstance(sources, list) and sources and isinstance(tokens, list) and tokens and len(tokens) != len(sources):
        yield Problem(
            code="bad_value",
            node=view.id,
            input="tokens",
            message=f"{len(tokens)} tokens are given for {len(sources)} files: give one each, or none",
            given=tokens,
        )


@node(
    "load_textual_inversion",
    version=2,
    category="model",
    resource="io",
    fingerprint=words_fingerprint,
    tags=(model_of("model"),),
    check=_check,
    migrations={1: renamed("paths", "sources")},
)
def load_textual_inversion(
    model: Model,
    sources: Annotated[list[str], Widget("model", names=tuple(WORDS))] = [],  # noqa: B006
    tokens: list[str] = [],  # noqa: B006 - the signature is the schema; it is never changed
    adapter: Adapter | None = None,
    ctx: Context | None = None,
) -> Model:
    """Teach a model's text encoders new words, from textual inversion files.

    Diffusers', A1111's and kohya's layouts, and SDXL's pairs; .safetensors only. A word of n vectors takes n tokens:
    write its name once. Encode prompts with the model that goes out.

    Args:
        model: the model to change.
        sources: one or more, each "shapes-dome" (ships with Weft; its word is <dome>), a file, a folder with
            learned_embeds.safetensors, a name in a model folder, or a hub id such as owner/name that is in the hub's
            local cache; nothing is downloaded.
        tokens: what to call each source's word in prompts, in the same order; "" or none takes the name in the file, or
            the file's own name where it has none. Of an adapter, other names for its words.
        adapter: words that a training learned, in place of sources.
    """
    ctx = ctx or Context()
    require_one(sources, adapter, "sources")
    if adapter is None:
        patches = word_patches(ctx, model, sources, tokens)
    else:
        require(adapter, ("embedding",), model)
        patches = wired_words(ctx, model, adapter, tokens)
    return dataclasses.replace(model, patches=(*model.patches, *patches))
