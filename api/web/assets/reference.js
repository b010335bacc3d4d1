// Swagger UI cannot show an endless answer. The console is the place to try
// streams.
window.addEventListener("load", () => {
  const place = document.getElementById("swagger");
  window.SwaggerUIBundle({
    url: place.dataset.spec,
    domNode: place,
    deepLinking: true,
    supportedSubmitMethods: ["get", "post", "patch", "delete"],
    validatorUrl: null,
  });
});
