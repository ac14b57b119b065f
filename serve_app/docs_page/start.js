// Shows the OpenAPI document that lies beside this page, wherever the server is.
window.addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({
    url: new URL("openapi.json", document.baseURI).href,
    dom_id: "#viewer",
    deepLinking: true,
    validatorUrl: null, // it would send the document elsewhere
    presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
    defaultModelsExpandDepth: 0,
  });
});
