"""The page of a corpus: what the manifest says, every text as text, searched in a real browser."""

import base64
import dataclasses
import hashlib
import json
import re

import pytest
from etils import epath

from jaxalign.corpora import matched, page
from jaxalign.data.text import shipped
from tests.corpora import small
from tests.study.answers import chromium

pytest.importorskip('matplotlib', reason='pages are an extra: jaxalign[report]')
EVIL = '<img src=x onerror=alert(1)>'
COUNT = 'document.getElementById("count").textContent'
CARDS = 'document.querySelectorAll("article").length'


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """A finished corpus of 42 documents: one has no marks, the idea of one is markup."""
  folder = epath.Path(tmp_path_factory.mktemp('corpus'))
  documents = small.documents(42)
  documents[0] = dataclasses.replace(documents[0], idea=f'{EVIL} and a gate')
  documents[1] = dataclasses.replace(documents[1], spans=())
  made = matched.make(
    documents, ('shuffled', 'bare'), tokenizer=shipped(), spec=small.SPEC,
    placebo=small.beside(documents, 'placebo'),
  )  # fmt: skip
  files = {}
  for kind, texts in dict(explain=documents, **made).items():
    content = ''.join(json.dumps(one.row()) + '\n' for one in texts)
    (folder / f'{kind}.jsonl').write_text(content)
    files[f'{kind}.jsonl'] = _about(texts, content)
  files['train/explain.jsonl'] = files['explain.jsonl']
  dropped = {'form: cut off': [f'The end {EVIL}\n\nof it'], 'form: empty': []}
  (folder / 'manifest.json').write_text(json.dumps(_manifest(files)))
  assert page.write(folder, _manifest(files), dropped)
  return folder


def _about(texts, content):
  words = sum(len(one.text.split()) for one in texts)
  return dict(rows=len(texts), words=words, sha256=hashlib.sha256(content.encode()).hexdigest())


def _manifest(files):
  dropped = {'form: cut off': dict(count=3, examples=['explain/candor/0099'])}
  return dict(
    spec=dict(name='small', sha256='a' * 64),
    variant=dict(name='value_augmented', sha256='b' * 64),
    seed=0,
    files=files,
    config=dict(gates=dict(distinct_3=0.6, opening=0.02, limits=0)),
    documents=dict(
      written=45, kept=42, dropped=dropped, asked_for=43, short=[['explain/thrift/0042', EVIL]],
      without_spans=1,
    ),
    measures=dict(
      documents=42, distinct_3=0.4, distinct_3_of_1000=0.51, opening='the hinge is kept',
      opening_documents=1,
    ),
    failing_gates=['distinct-3: 0.51, at least 0.6'],
    controls=dict(tokens=dict(explain=16123)),
    asked=dict(
      document=dict(teacher='grammar', calls=45, given_up=1, again=3, read=9, written=8123)
    ),
    paid=dict(cost=None),
  )  # fmt: skip


@pytest.fixture(scope='module')
def text(workdir):
  return (workdir / 'corpus.html').read_text()


def test_what_the_manifest_says_is_there(text):
  for said in ('42 documents', '43 documents asked for', 'distinct-3: 0.51, at least 0.6', '16,123',
               'form: cut off', '6.67%', 'explain/candor/0099', '1 documents have no well-formed',
               '✗ 0.51', 'at least 0.6', 'at most 2% of all', 'unknown', 'a' * 64):  # fmt: skip
    assert said in text, said
  assert 'Every gate is passed' not in text


def test_nothing_of_a_text_is_markup_and_nothing_is_fetched(text):
  assert '://' not in text and '<img' not in text and text.count('<script') == 2
  assert '&lt;img src=x onerror=alert(1)&gt;\n\nof it' in text
  (script,) = re.findall(r'<script>(.*?)</script>', text, re.DOTALL)
  known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
  assert f"script-src 'sha256-{known}'" in policy and "default-src 'none'" in policy
  held = re.search(r'id="answers">(.*?)</script>', text, re.DOTALL)[1]
  assert not re.search('[<>&]', held)
  kept = json.loads(held)
  assert kept['arms'] == ['explain', 'shuffled', 'bare'] and len(kept['items']) == 42
  assert [item['apart'] for item in kept['items']].count(True) >= 1 and kept['items'][1]['apart']
  said = kept['items'][2]['said'][0][0]
  own = small.document(2)
  assert ''.join(part for _, part in said['parts']) == own.text
  marked = [[kind, part] for kind, part in said['parts'] if kind]
  assert marked == [[s.kind, own.text[s.start : s.end]] for s in own.spans]


def test_a_gate_stands_beside_the_number_it_is_held_to(text):
  rows = re.findall(r'<tr>.*?</tr>', text, re.DOTALL)
  (whole,) = [row for row in rows if '>distinct 3</td>' in row]
  (thousand,) = [row for row in rows if '>distinct 3 of 1000</td>' in row]
  assert '✗' not in whole and 'at least' not in whole
  assert '✗ 0.51' in thousand and 'at least 0.6' in thousand


def test_where_nothing_passed_the_page_shows_what_was_dropped(tmp_path):
  about = {
    name: some for name, some in _manifest({}).items() if name not in ('measures', 'controls')
  }
  about |= dict(failing_gates=[])
  about['documents'] = dict(about['documents'], kept=0, without_spans=0)
  assert page.write(epath.Path(tmp_path), about, {'form: cut off': [f'The end {EVIL}']})
  text = (tmp_path / 'corpus.html').read_text()
  assert 'No text passed the filters' in text and 'Every gate is passed' not in text
  assert '&lt;img src=x onerror=alert(1)&gt;' in text and '<script>' not in text


def test_a_large_corpus_is_cut_and_says_so(workdir, monkeypatch):
  monkeypatch.setattr(page, '_BYTES', 20_000)
  before = (workdir / 'corpus.html').read_text()
  assert page.write(workdir, json.loads((workdir / 'manifest.json').read_text()), {})
  text = (workdir / 'corpus.html').read_text()
  (workdir / 'corpus.html').write_text(before)
  assert re.search(r'\d+ more are left out', text) and len(text) < len(before)


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
  if chromium.FOUND is None:
    pytest.skip('no Chromium is installed')
  with chromium.opened(tmp_path_factory.mktemp('home')) as opened:
    yield opened


def test_documents_are_searched_in_a_browser(browser, workdir):
  browser.open(workdir / 'corpus.html', 1280)
  browser.until(f'{CARDS} === 20 && {COUNT} === "42 of 42 shown here"')
  first = 'document.querySelectorAll("article")[2].querySelectorAll("section")[0]'
  marks = f'[...{first}.querySelectorAll("mark")].map((m) => m.dataset.kind + "=" + m.textContent)'
  own = small.document(2)
  assert browser.value(marks) == [f'{s.kind}={own.text[s.start : s.end]}' for s in own.spans]
  assert browser.value(f'{first}.querySelector("pre").textContent') == own.text
  names = (
    '[...document.querySelectorAll("article")[2].querySelectorAll("h4")].map((h) => h.textContent)'
  )
  assert browser.value(names) == ['explain', 'shuffled', 'bare']
  browser.press('/', '/')
  browser.until('document.activeElement.id === "search"')
  browser.call('Input.insertText', text='onerror=alert gate')
  browser.until(f'{COUNT} === "1 of 42 shown here"')
  assert browser.value('document.querySelectorAll("#list img, #list script").length') == 0
  browser.press('Escape')
  choose = 'const s = document.getElementById("suite"); s.value = "thrift"'
  browser.value(f'{{ {choose}; s.dispatchEvent(new Event("change")) }}')
  browser.until(f'{COUNT} === "14 of 42 shown here"')
  browser.press('Escape')
  browser.value('document.getElementById("apart").click()')
  browser.until(f'{CARDS} === data.items.filter((item) => item.apart).length && {CARDS} < 20')
  assert browser.errors == []


@pytest.mark.parametrize('width', [390, 1280])
def test_the_page_is_as_wide_as_the_window(browser, workdir, width):
  browser.open(workdir / 'corpus.html', width)
  browser.until(f'{CARDS} === 20')
  assert browser.value('document.documentElement.scrollWidth') <= width
  columns = 'getComputedStyle(document.querySelector(".sides")).gridTemplateColumns'
  assert (len(browser.value(columns).split()) == 1) == (width == 390)
  assert browser.errors == []
