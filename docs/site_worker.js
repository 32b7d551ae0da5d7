// Search for pages that are opened as files, where a browser starts no Worker: its script runs in a
// hidden frame. Over http nothing changes.
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement('iframe');
      frame.hidden = true;
      frame.srcdoc = '<!doctype html><body></body>';
      frame.onload = () => this.begin(frame.contentWindow, new URL(url, location));
      document.body.append(frame);
    }

    begin(inside, url) {
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent('message', {data}));
      const script = inside.document.createElement('script');
      script.src = url;
      script.onload = () => {
        this.inside = inside;
        this.waiting.forEach((data) => this.postMessage(data));
      };
      inside.document.body.append(script);
    }

    postMessage(data) {
      if (!this.inside) this.waiting.push(data);
      else this.inside.dispatchEvent(new MessageEvent('message', {data}));
    }
  };
}
