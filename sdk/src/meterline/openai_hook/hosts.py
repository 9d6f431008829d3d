"""Which hosts are the provider's own, and what may be taken for granted there."""

_OPENAI = (".openai.com",)
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


def is_openai(host: str) -> bool:
    """Whether it is OpenAI itself: every chat there may ask for `stream_options`.

    Of Azure, older versions of the API refuse it, and so do chats with sources of their own.
    """
    return f".{host}".lower().endswith(_OPENAI)


def is_provider(host: str) -> bool:
    """Whether it is OpenAI or Azure: an `x-request-id` there is one request's.

    A gateway may give all calls that it makes for one request the same.
    """
    return f".{host}".lower().endswith(_OPENAI + _AZURE)
