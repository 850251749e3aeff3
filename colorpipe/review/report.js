makeViewer(JSON.parse(byId("data").textContent));
