"""The HTTP door: uploads in, JSON out; its web page; and, as a program of its own, the launcher.

app         the application that Ray Serve runs      faces/      one room for each protocol of the door
api         mounts the faces; CORS, counting         uploads     bodies and forms, read within limits
forms       fields, whichever way they came          problems    the table from error to HTTP answer
plain_http  HEAD, OPTIONS, doubled slashes           settings    the door's settings
formats/    answers as COCO, VOC, Darwin Core, ...
page/       the web page, as static files            launch      the command line of the launcher (launcher/)
docs_page/  the viewer of the OpenAPI document       api_document, openapi_parts: what that document says
formats/    formats of answers beside JSON           activity    what is asked of each model, for /v1/system
"""
