#!/usr/bin/env python3
"""Makes tests/data/chat/cases.json: chat templates with what Jinja, set up as transformers does, makes of them.

    build/venv/bin/python scripts/make_chat_fixtures.py             needs jinja2
    build/venv/bin/python scripts/make_chat_fixtures.py FOLDER OUT  the same for real templates, FOLDER/*.jinja
"""
import datetime
import json
import pathlib
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/data/chat/cases.json"
NOW = datetime.datetime(2024, 7, 26)

CHATML = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You help.<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

LLAMA2 = """{%- if messages[0]['role'] == 'system' -%}
  {%- set system = messages[0]['content'] -%}
  {%- set rest = messages[1:] -%}
{%- else -%}
  {%- set system = false -%}
  {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
    {{- raise_exception('roles must alternate') -}}
  {%- endif -%}
  {%- if loop.index0 == 0 and system != false -%}
    {%- set content = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] -%}
  {%- else -%}
    {%- set content = message['content'] -%}
  {%- endif -%}
  {%- if message['role'] == 'user' -%}
    {{- bos_token + '[INST] ' + content.strip() + ' [/INST]' -}}
  {%- elif message['role'] == 'assistant' -%}
    {{- ' ' + content.strip() + ' ' + eos_token -}}
  {%- endif -%}
{%- endfor -%}"""

LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- if tools is defined and tools is not none %}
    {{- "You have these functions:\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one tool call at a time") }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- else %}
        {{- message.content | tojson if message.content is mapping or message.content is iterable else message.content }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""

MISTRAL = """{%- set loop_messages = messages %}
{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- endif %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("must alternate user/assistant") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message.role == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.role == "assistant" %}
        {{- " " + message.content|default("", true)|trim + eos_token}}
    {%- endif %}
{%- endfor %}
"""

GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages -%}
{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
{{ '<start_of_turn>' + role + '
' + message['content'] | trim + '<end_of_turn>
' }}{%- endfor -%}
{% if add_generation_prompt %}{{'<start_of_turn>model
'}}{% endif %}
"""

PHI = """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>
' + message['content'] + '<|end|>
'}}{% elif message['role'] in ['user', 'assistant'] %}{{'<|' ~ message.role ~ '|>
' + message['content'] + '<|end|>
'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>
' }}{% else %}{{ eos_token }}{% endif %}"""

DEEPSEEK = """{% set ns = namespace(is_first=false, system='', is_tool=false) %}
{%- for message in messages if message['role'] == 'system' %}{%- set ns.system = ns.system ~ message['content'] %}{%- endfor %}
{{- bos_token }}{{ ns.system }}
{%- for message in messages %}
    {%- if message['role'] == 'user' %}{{ '<|User|>' + message['content'] }}
    {%- elif message['role'] == 'assistant' %}
        {%- set content = message['content'] %}
        {%- if content and '</think>' in content %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|Assistant|>' ~ content ~ '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt and messages[-1].role == 'user' %}{{ '<|Assistant|>' }}{% endif %}"""

COMMAND_R = """{%- macro json_type(schema) -%}
  {%- if schema.type == 'array' -%}List[{{ json_type(schema['items']) }}]
  {%- elif schema.type in ('integer', 'number') -%}{{ {'integer': 'int', 'number': 'float'}[schema.type] }}
  {%- else -%}{{ schema.type | default('any') }}{%- endif -%}
{%- endmacro -%}
{%- macro describe(tool, sep=', ') -%}
def {{ tool.name }}({% for name, field in tool.parameters.properties | items %}{{ name }}: {{ json_type(field) }}
{%- if name not in tool.parameters.required %} = None{% endif %}{{ sep if not loop.last }}{% endfor %}): {{ caller() if caller }}
{% endmacro -%}
{{ bos_token }}{% if tools %}{% for tool in tools | map(attribute='function') %}{{ describe(tool) }}{% endfor %}
{% call describe(tools[0].function, sep=' / ') %}called{% endcall %}{% endif %}
{% for m in messages | rejectattr('role', 'equalto', 'system') %}
<|{{ m.role | upper }}_TOKEN|>{{ m.content }}{{ '\\n' }}
{%- else %}
nobody speaks
{%- endfor %}"""

SHAPES = {"chatml": CHATML, "llama-2": LLAMA2, "llama-3": LLAMA3, "mistral": MISTRAL, "gemma": GEMMA, "phi": PHI,
          "deepseek": DEEPSEEK, "command-r": COMMAND_R}

# One construct each.
FEATURES = [
    "", "text\n", "text\n\n", "a\r\nb\rc", "{{ 1 }}\n", "  {% if true %}  \n  x\n  {% endif %}\n  y",
    "  {%+ if true %}x{% endif +%}\n  {%- if true -%}  \n y {%- endif %}", "a {#- c -#} b{# c #}\nd\n  {# e #}\nf",
    "{% raw %}{{ x }} {% if %}{% endraw %}!", "{%- raw -%}  {{ x }}  {%- endraw -%} !", "{{ '{{ }}' }}{{ \"%}\" }}",
    "{{ 1 + 2 * 3 - 4 // 3 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 7 % -3 }} {{ 1.5 + 1 }} {{ 2 ** -1 }}",
    "{{ 10 / 5 }} {{ 1e3 }} {{ 1_000 }} {{ 0.1 + 0.2 }} {{ 1e20 }} {{ 5.0 // 2 }} {{ 3 * 'ab' }} {{ [1] * 2 + [3] }}",
    "{{ 'a' ~ 1 ~ none ~ true }} {{ 'a' 'b' }} {{ \"it's\" }} {{ '\\n\\t\\\\ \\x41 \\u00e9' }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'a' < 'b' }} {{ 1 == 1.0 == true }} {{ 'a' in 'cat' }} {{ 3 not in [1, 2] }}",
    "{{ not true or true and false }} {{ 0 or 'x' }} {{ '' and 1 }} {{ (1 if false) is undefined }} {{ 1 if 0 else 2 if 0 else 3 }}",
    "{{ [1, 'a', none, true, 2.0, {'k': 'v\"', 1: \"'\"}] }} {{ (1, 2) | list }} {{ {} }} {{ [] }}",
    "{{ 'hello'[1] }}{{ 'hello'[-1] }}{{ 'hello'[1:3] }}{{ 'hello'[::-1] }}{{ 'h\u00e9llo'[1:2] }}{{ [1,2,3][-2:] }}{{ [1,2,3][5:] }}",
    "{{ [1,2,3,4,5][::2] }} {{ [1,2,3][3] is defined }} {{ {'a': 1}.a }} {{ {'a': 1}['b'] is defined }} {{ [[1], [2]][1][0] }}",
    "{% set x = 1 %}{% if x == 1 %}{% set x = 2 %}{% endif %}{{ x }}{% for i in [1] %}{% set x = 3 %}{% endfor %}{{ x }}",
    "{% set a, b = [1, 2] %}{{ a }}{{ b }}{% set c = 1, 2 %}{{ c[1] }}{% set t %}  x {{ a }} {% endset %}[{{ t }}]{% set u | trim | upper %} ab {% endset %}[{{ u }}]",
    "{% set ns = namespace(n=0, x='a') %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% set ns.y = i %}{% endfor %}{{ ns.n }}{{ ns.y }}{{ ns.z is defined }}",
    "{% for x in [1,2,3] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('o', 'e') }} {% endfor %}",
    "{% for k, v in {'a': 1, 'b': [2]}.items() %}{{ k }}={{ v }};{% endfor %}{% for k in {'a': 1} %}{{ k }}{% endfor %}{% for c in 'a\u00e9' %}{{ c }}.{% endfor %}",
    "{% for x in [1,2,3,4] if x is even %}{{ x }}{{ loop.length }}{% else %}none{% endfor %}{% for x in [] %}x{% else %}empty{% endfor %}{% for x in nothing %}x{% else %}undefined{% endfor %}",
    "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% elif x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}{{ range(1, 9, 3) | list }}{{ range(3, 0, -1) | list }}",
    "{% for x in [1, 2] %}{% for y in [3, 4] %}{{ x }}{{ y }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}",
    "{% macro m(a, b='B', c=none) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, c=3) }}|{{ m(b=2, a=1) }}|{{ m() }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %} {{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}{% set g = 7 %}{% macro h() %}{{ g }}{% endmacro %}{{ h() }}",
    "{% macro w() %}<{{ caller() }}>{% endmacro %}{% call w() %}in{{ 1 }}{% endcall %}{% filter upper | trim %} abc {% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
    "{% generation %}kept{% endgeneration %}{% if none is none and 1 is number and 'a' is string and [] is sequence and {} is mapping and true is boolean %}yes{% endif %}",
    "{{ x is defined }}{{ x is undefined }}{{ 1 is odd }}{{ 4 is divisibleby(2) }}{{ 4 is divisibleby 3 }}{{ 1 is not none }}{{ 'a' is in ['a'] }}{{ 1 is eq 1 }}{{ true is true }}{{ 'A' is upper }}{{ 1.0 is float }}{{ 1 is integer }}{{ true is integer }}",
    "{{ ' a ' | trim }}|{{ 'abc' | upper }}{{ 'ABC' | lower }}{{ 'hello world' | title }}{{ 'hELLO' | capitalize }}{{ 'abc' | length }}{{ '\u00e9\u00e9' | length }}{{ 'xxax' | trim('x') }}",
    "{{ [1, 2] | join(', ') }}{{ ['a', 'b'] | join }}{{ [{'n': 1}, {'n': 2}] | join('-', attribute='n') }}{{ 'abc' | first }}{{ [1, 2] | last }}{{ [] | first is undefined }}",
    "{{ nope | default('d') }}{{ '' | default('d') }}{{ '' | default('d', true) }}{{ none | d('x', boolean=true) }}{{ 'aXbX' | replace('X', '-') }}{{ 'aaa' | replace('a', 'b', 2) }}",
    "{{ {'b': 1, 'a': 'x<\"\u00e9\"', 'c': [1, 2.5, none, true, {}], 'd': []} | tojson }}\n{{ {'b': {'c': [1, {'d': 2}]}, 'a': []} | tojson(indent=2) }}{{ [1, 2] | tojson(separators=(',', ':')) }}{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}{{ '\\n\\u2028/' | tojson }}",
    "{{ [{'r': 'u', 'n': 1}, {'r': 'a'}] | selectattr('r', 'equalto', 'u') | list }}{{ [{'r': 1}, {'r': 0}] | rejectattr('r') | list }}{{ [1, 2, 3] | select('odd') | list }}{{ [0, 1, none] | reject | list }}{{ [{'a': 1}, {}] | selectattr('a', 'defined') | list | length }}",
    "{{ [{'f': {'n': 'x'}}] | map(attribute='f.n') | list }}{{ [' a', 'b '] | map('trim') | join('|') }}{{ [{'a': 1}, {}] | map(attribute='a', default=0) | list }}{{ ['a', 'b'] | map('replace', 'a', 'c') | list }}",
    "{{ [3, 1, 2] | sort }}{{ ['b', 'A', 'c'] | sort }}{{ [3, 1] | sort(reverse=true) }}{{ [1, 2, 1] | unique | list }}{{ [1, 2] | reverse | list }}{{ 'abc' | reverse }}{{ [1, 5, 2] | max }}{{ [4, 2] | min }}{{ [1, 2] | sum }}{{ {'b': 1, 'a': 2} | dictsort }}",
    "{{ '42' | int }}{{ 'x' | int }}{{ 'x' | int(5) }}{{ 3.9 | int }}{{ '2.5' | float }}{{ 1 | string ~ 'a' }}{{ -3 | abs }}{{ 2.567 | round(2) }}{{ 2.5 | round }}{{ {'a': 1} | items | list }}{{ 'a\\nb\\n\\nc' | indent(2) }}|{{ 'a\\nb' | indent(2, true) }}",
    "{{ '  a '.strip() }}|{{ 'xay'.strip('xy') }}{{ ' a '.lstrip() }}|{{ ' a '.rstrip() }}|{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}{{ 'a,b,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}",
    "{{ 'aBc'.upper() }}{{ 'aBc'.lower() }}{{ 'ab cd'.title() }}{{ 'aXa'.replace('a', 'b') }}{{ 'aXa'.replace('a', 'b', 1) }}{{ 'abcb'.find('b') }}{{ 'abcb'.rfind('b') }}{{ 'abcb'.find('z') }}{{ 'abcb'.count('b') }}{{ '-'.join(['a', 'b']) }}{{ 'a\\nb\\r\\nc'.splitlines() }}",
    "{{ '12'.isdigit() }}{{ 'ab'.isalpha() }}{{ 'a1'.isalnum() }}{{ ' '.isspace() }}{{ ''.isdigit() }}{{ 'prefix'.removeprefix('pre') }}{{ 'a.txt'.removesuffix('.txt') }}{{ '{} {1} {x}'.format('a', 'b', x='c') if false else '{0}-{1}-{0}'.format(1, 2) }}{{ 'a{}b{}'.format('x', 2) }}{{ '{{}}'.format() }}",
    "{% set d = {'a': 1, 'items': 2} %}{{ d.get('a') }}{{ d.get('z') }}{{ d.get('z', 9) }}{{ d.keys() | list }}{{ d.values() | list }}{{ d['items'] }}{{ d.items is callable }}{{ dict(a=1, b=2) }}{{ [5, 6].index(6) }}{{ [1, 1].count(1) }}",
    "{% if [1] | select('even') %}a generator is true{% endif %}{{ none | selectattr('x') | list }}{{ messages | map(attribute='role') | join('/') }}",
    "{{ undefined_thing }}{{ undefined_thing == other_thing }}{{ undefined_thing | length }}{{ 'x' in undefined_thing }}{{ undefined_thing | list }}",
    "{{ strftime_now('%Y-%m-%d') }} {{ true }} {{ True }} {{ None }} {{ not none }} {{ - 1 }} {{ +2 }} {{ -1 | abs }} {{ (-1) | abs }}",
    # Errors.
    "{{ undefined_thing.x }}", "{{ undefined_thing['x'] }}", "{{ undefined_thing() }}", "{{ 1 + 'a' }}", "{{ 1 / 0 }}", "{{ [] + 'a' }}", "{{ 1 < 'a' }}",
    "{{ raise_exception('no') }}", "{% if %}{% endif %}", "{% for x in %}{% endfor %}", "{{ 1", "{% if true %}", "{% endif %}", "{{ }}", "{{ 'a }}", "{{ 1 | nofilter }}", "{{ 1 is notest }}",
    "{% for a, b in [[1]] %}{% endfor %}", "{% set x.y = 1 %}", "{{ range(3).append(1) }}", "{{ [1].append(2) }}", "{{ (1 }}", "{{ 1 ] }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% frobnicate %}", "{{ 5 | tojson | length() + }}",
]

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Gets \"weather\" \u00e9",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "The city"}, "days": {"type": "integer"},
        "n": {"type": "array", "items": {"type": "number"}}}, "required": ["city"]}}}]
CONVERSATIONS = {
    "user": [{"role": "user", "content": "Hello, how are you?"}],
    "system": [{"role": "system", "content": "  You help. \n"}, {"role": "user", "content": " Hi \n there "}],
    "turns": [{"role": "system", "content": "S"}, {"role": "user", "content": "a 'q' \"x\" <b> \u00e9 \u65e5\u672c"},
              {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb\n"}, {"role": "user", "content": "c"}],
    "wrong": [{"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y"}],
    "tools": [{"role": "user", "content": "weather?"},
              {"role": "assistant", "content": None, "tool_calls": [{"id": "call12345", "type": "function", "function": {
                  "name": "get_weather", "arguments": {"city": "Paris", "n": [1, 2.5, True, None]}}}]},
              {"role": "tool", "tool_call_id": "call12345", "name": "get_weather", "content": "22 C"},
              {"role": "assistant", "content": "It is 22."}, {"role": "user", "content": "thanks"}],
}


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def case(name, template, messages, prompt=True, extra=None):
    """The error's own words are Jinja's, so only that there is one counts."""
    extra = extra or {}
    out = {"name": name, "template": template, "messages": messages, "add_generation_prompt": prompt, "extra": extra}
    try:
        out["text"] = environment().from_string(template).render(
            messages=messages, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>", **extra)
    except Exception as error:
        out["error"] = f"{type(error).__name__}: {error}"
    return out


def of_template(name, template):
    for conversation, messages in CONVERSATIONS.items():
        for prompt in (True, False):
            yield case(f"{name}, {conversation}", template, messages, prompt)
        yield case(f"{name}, {conversation}, with tools", template, messages, True, {"tools": TOOLS})


def main():
    if len(sys.argv) == 3:
        files = sorted(pathlib.Path(sys.argv[1]).glob("*.jinja"))
        cases, out = [c for f in files for c in of_template(f.stem, f.read_text())], pathlib.Path(sys.argv[2])
    else:
        cases = [c for name, template in SHAPES.items() for c in of_template(name, template)]
        cases += [case(f"feature {i}", t, CONVERSATIONS["turns"]) for i, t in enumerate(FEATURES)]
        out = OUT
    # Templates and conversations repeat, so they are stored once.
    templates, conversations = [], []
    for c in cases:
        for key, store in (("template", templates), ("messages", conversations)):
            if c[key] not in store:
                store.append(c[key])
            c[key] = store.index(c[key])
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"templates": templates, "conversations": conversations, "cases": cases},
                      separators=(",", ":")).replace('},{"name"', '},\n{"name"')
    out.write_text(text + "\n")
    print(out, len(cases), "cases,", out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
