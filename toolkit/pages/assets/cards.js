// A long list of cards, made as far as one has scrolled; one card is the current one.
const CHUNK = 20;

class CardList {
  // render(item) gives {node, view}: the card and its SoundView.
  constructor(container, render, onMove) {
    this.container = container;
    this.render = render;
    this.onMove = onMove || (() => {});
    this.end = element("div", { class: "end" });
    container.after(this.end);
    new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.grow();
    }, { rootMargin: "800px" }).observe(this.end);
    this.show([]);
  }

  show(items) {
    this.items = items;
    this.cards = [];
    this.current = -1;
    this.container.replaceChildren();
    this.grow();
  }

  grow(upTo) {
    const target = Math.min(this.items.length, Math.max(upTo || 0, this.cards.length + CHUNK));
    while (this.cards.length < target) {
      const index = this.cards.length;
      const card = this.render(this.items[index]);
      card.node.tabIndex = -1;
      card.node.addEventListener("focusin", () => this.mark(index));
      card.node.addEventListener("click", () => this.mark(index));
      this.cards.push(card);
      this.container.append(card.node);
    }
    // Where the end is still in view the observer stays silent.
    if (this.cards.length < this.items.length) {
      requestAnimationFrame(() => {
        if (this.end.getBoundingClientRect().top < innerHeight + 800) this.grow();
      });
    }
  }

  mark(index) {
    if (index === this.current) return;
    if (this.cards[this.current]) this.cards[this.current].node.removeAttribute("aria-current");
    this.current = index;
    this.cards[index].node.setAttribute("aria-current", "true");
    this.onMove(this.cards[index]);
  }

  // Goes to a card, at most to the first or last one, and puts the focus there.
  go(index) {
    if (!this.items.length) return;
    const target = Math.max(0, Math.min(this.items.length - 1, index));
    if (target >= this.cards.length) this.grow(target + 1);
    this.mark(target);
    const { node } = this.cards[target];
    node.focus({ preventScroll: true });
    node.scrollIntoView({ block: "nearest" });
  }

  get card() {
    return this.cards[this.current] || null;
  }
}

const TYPING = "input:not([type=checkbox]), select, textarea, audio";
const PRESSING = "button, summary, a, input";

// keys: {key: function}; one that gives false leaves the key to the browser. Nothing is taken from a field that is being typed in, nor Space from a button.
function listenToKeys(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.matches && event.target.matches(TYPING)) return;
    if (event.key === " " && event.target.matches(PRESSING)) return;
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action && action() !== false) event.preventDefault();
  });
}

// Arrows and Space belong to the list where it is the whole page, else only with the focus in it.
function listKeys(list, player, wholePage) {
  const next = () => list.go(list.current + 1);
  const previous = () => list.go(list.current - 1);
  const inList = (act) => () => (wholePage || list.container.contains(document.activeElement) ? act() : false);
  return {
    ArrowDown: inList(next), n: next, ArrowUp: inList(previous), p: previous,
    " ": inList(() => {
      if (!list.card) next();
      if (list.card) player.toggle(list.card.view);
    }),
  };
}
