// The address that the server prints carries the token behind a #, which no server sees. It becomes a cookie that no
// script can read, and leaves the address.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) {
  history.replaceState(null, "", location.pathname + location.search);
  fetch("/api/v1/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  }).then((answer) => {
    const line = document.getElementById("login");
    if (line) line.textContent = answer.ok ? "You are logged in." : "The token in the address is not this server's.";
  });
}
