"""Language models that are small enough to be checked by hand.

A chat model that judges, extracts and summarises; a bag of words, trained when the emulator
starts, is all that it knows of language.  It answers as the OpenAI-shaped containers do, with
its own count of tokens.
"""

import json
import math
import re
from collections import Counter

from endpoints import Answer, ContainerError, Endpoint

TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])")
ASKS_FOR_JSON = re.compile(r"\s*Answer with JSON only, without any other text\."
                           r"(?: It has to fit this JSON schema: (.*))?", re.DOTALL)
FORBIDDEN = "explosives"

TRAINING = {
    "complaint": ("the kettle broke after two days and nobody answers",
                  "I want my money back, the parcel arrived damaged and late",
                  "terrible service, still waiting, never again",
                  "broken, useless, it leaks and the support is rude"),
    "praise": ("what a lovely kettle, thank you so much",
               "arrived early, works perfectly, great support",
               "very happy with it, excellent and quick",
               "wonderful service, I love it"),
    "question": ("does the kettle come in red",
                 "how long is the warranty and where do I find the manual",
                 "can you tell me when it will be back in stock",
                 "which size do I need, and is it safe to wash"),
}


class BagOfWords:
    """Naive Bayes over words, with add-one smoothing."""

    def __init__(self, training):
        self._counts = {label: Counter(word for text in texts for word in words_of(text))
                        for label, texts in training.items()}
        self._vocabulary = set().union(*self._counts.values())

    @property
    def labels(self):
        return list(self._counts)

    def chances(self, text):
        logs = {}
        for label, counts in self._counts.items():
            total = sum(counts.values()) + len(self._vocabulary)
            logs[label] = sum(math.log((counts[word] + 1) / total) for word in words_of(text)
                              if word in self._vocabulary)
        highest = max(logs.values())
        weights = {label: math.exp(value - highest) for label, value in logs.items()}
        return {label: weight / sum(weights.values()) for label, weight in weights.items()}


def words_of(text):
    return re.findall(r"[a-z']+", text.lower())


CLASSIFIER = BagOfWords(TRAINING)


class Chat:
    """A model behind `messages`."""

    def __init__(self, honours_format=True, has_manners=True, learns=False, reports_usage=True):
        self._honours_format = honours_format  # response_format; else it is passed over
        self._has_manners = has_manners        # JSON comes with some words around it
        self._learns = learns                  # says yes and no until it is corrected
        self._reports_usage = reports_usage

    def __call__(self, invocation):
        body = read_body(invocation)
        given = body["messages"]
        text, schema = question_of(given)
        enforced = self._honours_format and body.get("response_format")
        if enforced and enforced["type"] == "json_schema":
            schema = enforced["json_schema"]["schema"]
        refusal = None
        if FORBIDDEN in words_of(text):
            refusal, content = "I cannot help with that.", None
        elif schema is None:
            content = summary_of(text)
        else:
            value = judge(text, schema)
            if self._learns and all(message["role"] != "assistant" for message in given):
                value = in_words(value)
            content = json.dumps(value, ensure_ascii=False)
            if self._has_manners and not enforced:
                content = f"Certainly! Here is the answer:\n```json\n{content}\n```\nAsk for more."
        return answer(body, content, refusal, self._reports_usage)


def read_body(invocation):
    try:
        body = json.loads(invocation.body)
        for message in body["messages"]:
            if message["role"] not in ("system", "user", "assistant") or \
                    not isinstance(message["content"], str):
                raise KeyError("role")
        return body
    except (KeyError, TypeError, ValueError) as error:
        raise ContainerError(400, json.dumps({"error": f"no chat: {error!r}", "code": 400})) \
            from None


def question_of(messages):
    """The text to be judged, and the schema that was asked for in words: {} for any JSON."""
    asked = next(message["content"] for message in messages if message["role"] == "user")
    everything = "\n".join(message["content"] for message in messages[:2])
    wish = ASKS_FOR_JSON.search(everything)
    schema = None
    if wish:
        schema = json.JSONDecoder().raw_decode(wish[1])[0] if wish[1] else {}
    text = ASKS_FOR_JSON.split(asked)[0]
    return text.partition("Text: ")[2] or text, schema


def judge(text, schema, name="answer"):
    """A value of that schema.  What the text does not tell is null, where null is permitted."""
    kinds = schema.get("type", "object")
    kind, nullable = (kinds[0], True) if isinstance(kinds, list) else (kinds, False)
    if not schema:
        return CLASSIFIER.chances(text)
    if kind == "object":
        return {key: judge(text, part, key) for key, part in schema["properties"].items()}
    chances = CLASSIFIER.chances(text)
    if kind == "boolean":
        return chances["complaint"] > 0.5
    if kind == "array":
        return [part for part in list_of(text, schema["items"]) if part is not None]
    if "enum" in schema:
        return max((label for label in schema["enum"] if label is not None),
                   key=lambda label: chances.get(label, 0))
    found = value_of(text, name, kind)
    if found is None and not nullable:
        return 0 if kind in ("integer", "number") else ""
    return found


def value_of(text, name, kind):
    """What follows the name in the text; or any number, if one is wanted."""
    number = r"-?\d+(?:\.\d+)?"
    if kind == "string":
        found = re.search(rf"\b{re.escape(name)}\W+(\w+)", text, re.IGNORECASE)
        return found[1] if found else None
    found = re.search(rf"\b{re.escape(name)}\W+({number})", text) or re.search(f"({number})", text)
    if not found:
        return None
    return int(float(found[1])) if kind == "integer" else float(found[1])


def list_of(text, schema):
    """All numbers, all words with a capital, or a part for each sentence."""
    if schema["type"] in ("integer", "number"):
        return [int(number) for number in re.findall(r"\d+", text)]
    if schema["type"] == "string" and "enum" not in schema:
        return re.findall(r"\b[A-Z]\w+", text)
    return [judge(sentence, schema) for sentence in sentences_of(text)]


def sentences_of(text):
    return [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s", text) if sentence.strip()]


def summary_of(text):
    """The sentence whose words are the commonest of the text; the first of equals."""
    counts = Counter(words_of(text))

    def weight(sentence):
        words = words_of(sentence)
        return sum(counts[word] for word in words) / (len(words) or 1)
    return max(sentences_of(text) or [text], key=weight)


def in_words(value):
    """What a model says that was not trained for JSON."""
    if isinstance(value, dict):
        return {key: in_words(part) for key, part in value.items()}
    if isinstance(value, bool):
        return "yes" if value else "no"
    return [value]


def tokens_of(text):
    return TOKEN.findall(text or "")


def answer(body, content, refusal=None, reports_usage=True):
    """In OpenAI's shape; cut at max_tokens."""
    spent = tokens_of(content if refusal is None else refusal)
    limit = body.get("max_tokens", len(spent))
    finish_reason = "length" if len(spent) > limit else "stop"
    if finish_reason == "length":
        spent, content = spent[:limit], "".join(spent[:limit])
    asked = sum(len(tokens_of(message["content"])) for message in body["messages"])
    message = {"role": "assistant", "content": content}
    if refusal is not None:
        message["refusal"] = refusal
    result = {"object": "chat.completion", "choices": [
        {"index": 0, "message": message, "finish_reason": finish_reason}]}
    if reports_usage:
        result["usage"] = {"prompt_tokens": asked, "completion_tokens": len(spent),
                           "total_tokens": asked + len(spent)}
    return Answer(json.dumps(result).encode(),
                  tokens=(asked, len(spent)) if reports_usage else None)


def parrot(invocation):
    """Gives back what the user said, to the letter."""
    body = read_body(invocation)
    return answer(body, body["messages"][-1]["content"])


def chat_endpoints():
    containers = {
        "chat": Chat(),
        "chat-plain": Chat(honours_format=False),
        "chat-terse": Chat(honours_format=False, has_manners=False, reports_usage=False),
        "chat-novice": Chat(honours_format=False, learns=True),
        "chat-parrot": parrot,
    }
    return [Endpoint(name, container) for name, container in containers.items()]
