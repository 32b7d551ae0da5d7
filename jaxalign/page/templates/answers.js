'use strict'
// Texts side by side: answers of models, or documents and their controls. Every text goes in as text,
// never as markup.
const data = JSON.parse(document.getElementById('answers').textContent)
const at = (id) => document.getElementById(id)
const list = at('list'), search = at('search'), suite = at('suite'), label = at('label')
const apart = at('apart'), count = at('count'), more = at('more')
const STEP = 20
let found = [], shown = 0, chosen = -1

function made(tag, text, name) {
  const element = document.createElement(tag)
  if (text !== undefined) element.textContent = text
  if (name) element.className = name
  return element
}

// The text of one side; where it has parts, [kind, text] each, those of a kind are marked.
function passage(one) {
  if (!one.parts) return made('pre', one.text === '' ? '(says nothing)' : one.text)
  const box = made('pre')
  for (const [kind, text] of one.parts) {
    const part = kind ? made('mark', text) : document.createTextNode(text)
    if (kind) part.dataset.kind = part.title = kind
    box.append(part)
  }
  return box
}

for (const item of data.items) {
  const said = item.said.flat()
  for (const one of said) if (one.parts) one.text = one.parts.map(([, text]) => text).join('')
  item.labels = new Set(said.flatMap((one) => one.labels.map(([judge, is]) => judge + ': ' + is)))
  const texts = said.flatMap((one) => [one.text, one.read, one.error])
  const words = [item.question, item.wants, item.right, ...item.parts, ...texts]
  item.words = words.join('\n').toLowerCase()
}

function offer(select, values) {
  for (const value of [...new Set(values)].sort()) {
    const option = made('option', value)
    option.value = value
    select.append(option)
  }
}

function card(item) {
  const box = made('article')
  box.append(made('p', [item.suite, ...item.parts].join(' · '), 'soft'))
  box.append(made('pre', item.question, 'question'))
  if (item.wants) box.append(made('p', 'asks, in plain words:', 'soft'), made('pre', item.wants))
  if (item.right) box.append(made('p', 'wanted: ' + item.right, 'soft'))
  const sides = made('div', undefined, 'sides')
  item.said.forEach((draws, n) => {
    const side = made('section')
    side.append(made('h4', data.arms[n]))
    for (const one of draws) {
      const labels = one.labels.map(([judge, is]) => judge + ': ' + is).join(', ')
      if (labels) side.append(made('p', labels, 'labels'))
      if (one.error) side.append(made('p', 'not asked: ' + one.error, 'unasked'))
      else side.append(passage(one))
      if (one.read) side.append(made('p', 'as judges read it:', 'soft'), made('pre', one.read, 'read'))
    }
    sides.append(side)
  })
  if (item.apart) box.classList.add('apart')
  box.append(sides)
  return box
}

function extend() {
  for (const item of found.slice(shown, shown + STEP)) list.append(card(item))
  shown = Math.min(found.length, shown + STEP)
  more.hidden = shown === found.length
}

function choose(n) {
  if (n < 0 || n >= found.length) return
  while (n >= shown) extend()
  const old = list.querySelector('.chosen')
  if (old) old.classList.remove('chosen')
  chosen = n
  const box = list.children[n]
  box.classList.add('chosen')
  box.scrollIntoView({block: 'nearest'})
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean)
  found = data.items.filter((item) =>
    (!suite.value || item.suite === suite.value) &&
    (!label.value || item.labels.has(label.value)) &&
    (!apart.checked || item.apart) &&
    words.every((word) => item.words.includes(word)))
  list.replaceChildren()
  shown = 0
  chosen = -1
  extend()
  count.textContent = found.length + ' of ' + data.items.length + ' shown here'
}

offer(suite, data.items.map((item) => item.suite))
offer(label, data.items.flatMap((item) => [...item.labels]))
search.addEventListener('input', filter)
for (const one of [suite, label, apart]) one.addEventListener('change', filter)
more.addEventListener('click', extend)
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === 'Escape') {
    search.value = suite.value = label.value = ''
    apart.checked = false
    document.activeElement.blur()
    filter()
    return
  }
  if (['INPUT', 'SELECT', 'TEXTAREA'].includes(document.activeElement.tagName)) return
  if (event.key === '/') {
    event.preventDefault()
    search.focus()
    search.scrollIntoView({block: 'nearest'})
  }
  if (event.key === 'j') choose(chosen + 1)
  if (event.key === 'k') choose(chosen - 1)
})
filter()
