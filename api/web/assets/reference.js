// Swagger UI shows nothing of an answer that does not end: streams are tried out
// on the console.
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
