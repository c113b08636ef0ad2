"""Stand-ins for providers of models, one per dialect: each refuses what the real one refuses.

Shapes of requests, answers and errors are those that the providers document and that people report: no key
and no network is needed. What is answered is a script: tools to call, or a text, by the number of turns.
"""

from railyard.vendors.anthropic import Anthropic
from railyard.vendors.chat import OpenAIChat, OpenRouter
from railyard.vendors.gemini import Gemini
from railyard.vendors.responses import OpenAIResponses

__all__ = ("VENDORS", "Anthropic", "Gemini", "OpenAIChat", "OpenAIResponses", "OpenRouter")
VENDORS = {
    "chat": OpenAIChat,
    "openrouter": OpenRouter,
    "responses": OpenAIResponses,
    "messages": Anthropic,
    "gemini": Gemini,
}
