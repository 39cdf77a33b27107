// One audio element for the whole page; it stands below the picture of the clip that is playing.
class Player {
  constructor() {
    this.audio = element("audio", { controls: true, preload: "auto" });
    this.view = null;
    this.audio.addEventListener("timeupdate", () => this.showTime());
    this.audio.addEventListener("seeked", () => this.showTime());
    for (const event of ["play", "pause", "ended"]) this.audio.addEventListener(event, () => this.showState());
    this.audio.addEventListener("error", () => {
      if (this.view) this.view.say("This sound cannot be played. If the page links it: is the file still there, in a format the browser knows?");
    });
  }

  toggle(view) {
    if (this.view === view && !this.audio.paused) this.audio.pause();
    else this.play(view);
  }

  play(view, share) {
    if (!view.sound) return;
    if (this.view !== view) {
      this.audio.pause();
      if (this.view) this.view.stopped();
      this.view = view;
      view.figure.append(this.audio);
      this.audio.src = view.sound;
    }
    if (share !== undefined) this.audio.currentTime = share * (view.seconds || this.audio.duration || 0);
    this.audio.play().catch(() => {}); // what went wrong arrives as an error event
  }

  showState() {
    if (this.view) this.view.showPlaying(!this.audio.paused && !this.audio.ended);
  }

  showTime() {
    if (this.view && this.audio.duration) this.view.showTime(this.audio.currentTime / this.audio.duration);
  }
}

function placed(side, share, text) {
  const label = element("span", {}, text);
  label.style[side] = `${100 * share}%`;
  return label;
}

// Seconds below a picture; the last label ends where the picture does.
function timeAxis(length) {
  const labels = roundSteps(0, length).map((time) => {
    const label = placed("left", time / length, `${Number(time.toFixed(3))} s`);
    if (time > 0.94 * length) label.className = "last";
    return label;
  });
  return element("div", { class: "time-axis", "aria-hidden": "true" }, labels);
}

// A clip's picture, play button and length; clip: sound, picture, frequencies, seconds, whole_seconds or error.
class SoundView {
  constructor(clip, player, caption) {
    this.sound = clip.sound;
    this.seconds = clip.seconds;
    this.playhead = element("div", { class: "playhead", hidden: true });
    this.message = element("p", { class: "problem", role: "status", hidden: true });
    this.button = element("button", { class: "play", type: "button", click: () => player.toggle(this) }, "▶ Play");
    this.figure = element("figure", { class: "sound" });
    if (clip.error) {
      this.say(clip.error);
      this.figure.append(this.message);
      return;
    }
    if (clip.picture) {
      const image = element("img", { src: clip.picture, alt: `Spectrogram; a ${TOUCH ? "tap" : "click"} plays from there` });
      image.addEventListener("click", (event) => {
        const box = image.getBoundingClientRect();
        player.play(this, (event.clientX - box.left) / box.width);
      });
      this.figure.append(element("div", { class: "plot" },
        element("div", { class: "frequencies", "aria-hidden": "true" }, clip.frequencies.map(([place, label]) =>
          placed("bottom", place, label))),
        element("div", { class: "picture" }, image, this.playhead), timeAxis(clip.seconds)));
    }
    const length = clip.seconds === undefined ? "" : seconds(clip.seconds);
    const cut = clip.whole_seconds > clip.seconds + 0.05 ? `first ${length} of ${seconds(clip.whole_seconds)}` : length;
    this.figure.append(
      element("div", { class: "below" }, this.button, element("span", { class: "faint" }, cut, caption || "")),
      this.message,
    );
  }

  say(text) {
    this.message.textContent = text;
    this.message.hidden = false;
  }

  showPlaying(on) {
    this.button.textContent = on ? "❚❚ Pause" : "▶ Play";
  }

  showTime(share) {
    this.playhead.hidden = false;
    this.playhead.style.left = `${100 * share}%`;
  }

  stopped() {
    this.showPlaying(false);
    this.playhead.hidden = true;
  }
}
