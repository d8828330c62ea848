"""A language model that says its prompt again, word by word, in the forms that model servers
have: LMI's lines of JSON, TGI's events, and the chunks of OpenAI's chat."""

import json

from endpoints import Answer, ContainerError, Endpoint

LINES, EVENTS, JSON = "application/jsonlines", "text/event-stream", "application/json"


def parrot(invocation):
    """Answers `{"inputs": ...}` or `{"messages": [...]}`, whole or, with `"stream": true`, in
    pieces.  A word is a token; how many there were is told as those servers do."""
    try:
        given = json.loads(invocation.body)
        prompt = given["messages"][-1]["content"] if "messages" in given else given["inputs"]
        limit = given.get("max_tokens") or \
            given.get("parameters", {}).get("max_new_tokens") or 1000
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ContainerError(400, f"the body is no prompt: {error!r}") from None
    words = [word if n == 0 else " " + word for n, word in enumerate(prompt.split())]
    reason = "length" if len(words) > limit else "stop"
    words = words[:limit]
    if "messages" in given:
        return _chat(words, reason, len(prompt.split()), given)
    if not given.get("stream"):
        return Answer(json.dumps({"generated_text": "".join(words)}).encode())
    if invocation.member("Accept") == EVENTS:
        return _in_parts(EVENTS, [f"data:{message}\n\n"
                                  for message in _tokens(words, reason, "logprob")],
                         tokens=(0, len(words)))
    return _in_parts(LINES, [f"{message}\n" for message in _tokens(words, reason, "log_prob")],
                     tokens=(0, len(words)))


def _tokens(words, reason, probability):
    for n, word in enumerate(words):
        message = {"token": {"id": n, "text": word, probability: -0.1, "special": False},
                   "generated_text": None, "details": None}
        if n == len(words) - 1:
            message["generated_text"] = "".join(words)
            message["details"] = {"finish_reason": reason, "generated_tokens": len(words)}
        yield json.dumps(message, ensure_ascii=False)


def _chat(words, reason, n_read, given):
    tokens = (n_read, len(words))
    usage = dict(zip(("prompt_tokens", "completion_tokens"), tokens))
    if not given.get("stream"):
        return Answer(json.dumps({"object": "chat.completion", "usage": usage, "choices": [
            {"index": 0, "finish_reason": reason,
             "message": {"role": "assistant", "content": "".join(words)}}]}).encode(),
                      tokens=tokens)
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in words), {}]
    chunks = [{"object": "chat.completion.chunk", "choices": [
        {"index": 0, "delta": delta, "finish_reason": None if delta else reason}]}
        for delta in deltas]
    is_told = given.get("stream_options", {}).get("include_usage")
    if is_told:
        chunks.append({"object": "chat.completion.chunk", "choices": [], "usage": usage})
    return _in_parts(EVENTS, [*(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
                                for chunk in chunks), "data: [DONE]\n\n"],
                     tokens=tokens if is_told else None, telling_part=-2)


def _in_parts(content_type, texts, **more):
    parts = [text.encode() for text in texts]
    return Answer(b"".join(parts), content_type, parts=parts, **more)


def language_endpoints():
    """The endpoints with a language model behind them."""
    return [Endpoint("parrot", parrot)]
